// Attention over the paged cache: arguments, and the list of work that the host cuts a step into.
//
// The cache holds K and V as [block][kv head][token in block][D] (kv_codes.cuh). Prefill chunks and decodes are one op: the host
// cuts each sequence into items, of some queries by some range of the context, and a grid of blocks takes them in
// turn. A sequence's cuts depend on its own length alone, so its result does not depend on its company.
#ifndef QUIRE_CUDA_ATTENTION_H
#define QUIRE_CUDA_ATTENTION_H

#include <vector>

#include "kv_codes.cuh"

namespace quire::cuda {

/// `queries` tokens of a sequence against positions [kv_begin, kv_end) of its context; for every kv head.
struct AttentionItem {
  int32_t sequence;  // row of the block table
  int32_t query;     // first token, as a row of q
  int32_t queries;
  int32_t position;  // absolute position of the first token
  int32_t kv_begin, kv_end;
  int32_t partial;   // slot of the first token's partial result; -1: the result is whole
  int32_t reserved;
};

/// The partial results of one token: slots partial, partial + stride, ...
struct AttentionMerge {
  int32_t query, partial, splits, stride;
};

/// Lengths of the lists; on the device, so that a captured graph can run with other lists.
struct AttentionCounts {
  int32_t decode, prefill, merges, reserved;
};

struct AttentionArgs {
  const bf16* q;          // [T, H, D]
  bf16* out;              // [T, H, D]
  const void* k_cache;    // [blocks, Hkv, block_tokens, D], elements of kind kv
  const void* v_cache;
  const int32_t* block_table;     // [B, table_stride]
  const AttentionItem* decode;    // at most 16 / (H / Hkv) queries each
  const AttentionItem* prefill;   // at most prefill_rows(D) / (H / Hkv) queries each
  const AttentionMerge* merges;
  const AttentionCounts* counts;
  float* partial_out;     // [slots, H, D]: not yet divided by the sum
  float2* partial_stats;  // [slots, H]: largest score in units of log2, and sum
  KvKind kv;
  int32_t heads, kv_heads, head_dim;
  int32_t block_shift;    // log2 of the tokens in a block, at least 4
  int32_t table_stride;
  int32_t window;         // 0 = all
  float scale, softcap;   // softcap 0 = none
};

template <int kDim>
struct HeadDim {
  static constexpr int value = kDim;
};

/// run(HeadDim<D>{}) for a head size that the kernels are compiled for.
template <class Run>
cudaError_t with_head_dim(int head_dim, Run run) {
  switch (head_dim) {
    case 64: return run(HeadDim<64>{});
    case 80: return run(HeadDim<80>{});
    case 96: return run(HeadDim<96>{});
    case 128: return run(HeadDim<128>{});
    case 256: return run(HeadDim<256>{});
    default: return cudaErrorInvalidValue;
  }
}

template <KvKind kKind>
struct KvOf {
  static constexpr KvKind value = kKind;
};

/// run(KvOf<kind>{}).
template <class Run>
cudaError_t with_kv(KvKind kind, Run run) {
  switch (kind) {
    case KvKind::kInt8: return run(KvOf<KvKind::kInt8>{});
    case KvKind::kFp8: return run(KvOf<KvKind::kFp8>{});
    default: return run(KvOf<KvKind::kBf16>{});
  }
}

/// A step's work, made on the host.
struct AttentionPlan {
  std::vector<AttentionItem> decode, prefill;
  std::vector<AttentionMerge> merges;
  int32_t slots = 0;
};

/// One sequence of a step: queries [query, query + queries) are the last of its `length` positions.
struct AttentionSpan {
  int32_t query, queries, length;
};

constexpr int kDecodeRows = 16;
/// Splits and windows are cut at multiples of it.
constexpr int kSplitUnit = 64;
/// Partial results of a token at most.
constexpr int kMostSplits = 32;
__host__ __device__ constexpr int prefill_rows(int head_dim) { return head_dim <= 128 ? 128 : 64; }

/// Whether there are kernels for a model's heads.
bool attention_supports(int heads, int kv_heads, int head_dim);

/// Cuts the spans into items of `split` positions for decodes, and of `prefill_split` for tiles of many queries, both
/// rounded down to the unit, or of more where there would be over kMostSplits of them. Nothing for heads that are not supported, nor for spans of length 0.
AttentionPlan plan_attention(const std::vector<AttentionSpan>& spans, int heads, int kv_heads, int head_dim, int window,
                             int split, int prefill_split);

/// Runs the lists. The grids are sized by the capacities, which are at least the counts.
cudaError_t attention(const AttentionArgs& args, const AttentionCounts& capacity, cudaStream_t stream);

/// The oracle: one warp per token and head. query_start [B + 1], length [B] on the device.
cudaError_t attention_plain(const AttentionArgs& args, const int32_t* query_start, const int32_t* length, int sequences,
                            int tokens, cudaStream_t stream);

cudaError_t attention_decode(const AttentionArgs& args, int capacity, cudaStream_t stream);
cudaError_t attention_prefill(const AttentionArgs& args, int capacity, cudaStream_t stream);
cudaError_t attention_merge(const AttentionArgs& args, int capacity, cudaStream_t stream);

}  // namespace quire::cuda

#endif
