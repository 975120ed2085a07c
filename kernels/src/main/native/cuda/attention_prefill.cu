// Attention, tier 1, many queries: a tile of 128 rows (64 for D > 128), 64 positions (32) at a time, two stages of K, V.
// Four warps of 32 rows: with 16 rows a warp would read shared memory longer than its tensor cores compute.
#include <type_traits>

#include "attention_tile.cuh"

namespace quire::cuda {
namespace {

constexpr int kThreads = 128;

template <int D>
constexpr int kTilesOfRows = prefill_rows(D) / 64;  // of 16, per warp
template <int D>
constexpr int kPositions = D <= 128 ? 64 : 32;
template <int D>
constexpr size_t kShared =
    static_cast<size_t>(prefill_rows(D) + 4 * kPositions<D>) * kRowStride<D> * sizeof(bf16);

/// Starts the copy of positions [p, p + kPositions) of K and V; those past the end become zero.
template <int D>
__device__ __forceinline__ void load_tile(const AttentionArgs& a, const int32_t* table, int kv_head, int p, int end,
                                          bf16* k_rows) {
  constexpr int kVectors = D / kVector, kCount = kPositions<D> * kVectors / kThreads;
  // Where rows are no power of two long, each step's own row and column would cost registers.
  [[maybe_unused]] constexpr int kUnroll = D % 64 == 0 ? kCount : 1;
  // Row numbers of 32 bits, which reach over 256 GB of cache, where ptxas for sm_80 would spill with 64.
  using Row = std::conditional_t<D == 96, int32_t, int64_t>;
#pragma unroll kUnroll
  for (int i = 0; i < kCount; i++) {
    const int vector = i * kThreads + threadIdx.x, row = vector / kVectors, column = vector % kVectors * kVector;
    const int at = p + row, bytes = at < end ? 16 : 0;
    const Row block = at < end ? table[at >> a.block_shift] : 0;
    const Row row_of_block = (block * a.kv_heads + kv_head) << a.block_shift;
    const int64_t from = static_cast<int64_t>(row_of_block + (at & ((1 << a.block_shift) - 1))) * D + column;
    bf16* to = k_rows + row * kRowStride<D> + column;
    cp_async16(to, a.k_cache + from, bytes);
    cp_async16(to + kPositions<D> * kRowStride<D>, a.v_cache + from, bytes);
  }
}

template <int D>
__global__ void __launch_bounds__(kThreads, D <= 128 ? 2 : 1) attention_prefill_kernel(AttentionArgs a) {
  start_after_previous();
  constexpr int MT = kTilesOfRows<D>, kRows = prefill_rows(D), NT = kPositions<D> / 8, kVectors = D / kVector;
  constexpr int kStage = 2 * kPositions<D> * kRowStride<D>;
  DYN_SMEM(bf16, q_rows);
  bf16* stages = q_rows + kRows * kRowStride<D>;
  const int warp = threadIdx.x / kWarpSize, lane = threadIdx.x % kWarpSize;
  // Heads are the inner index: the blocks that run together read the same rows of the table and neighbouring memory.
  const int kv_head = blockIdx.x % a.kv_heads, which = blockIdx.x / a.kv_heads;
  if (which >= a.counts->prefill) return;
  const AttentionItem item = a.prefill[which];
  const int group = a.heads / a.kv_heads, rows = item.queries * group;
  const int32_t* table = a.block_table + static_cast<int64_t>(item.sequence) * a.table_stride;
  const Mask mask = {item.position, group, a.window};
  const float scale_log2 = a.scale * 1.44269504f;

  for (int vector = threadIdx.x; vector < kRows * kVectors; vector += kThreads) {
    const int row = vector / kVectors, column = vector % kVectors * kVector;
    const bool used = row < rows;
    const int64_t head = static_cast<int64_t>(item.query + row / group) * a.heads + kv_head * group + row % group;
    cp_async16(q_rows + row * kRowStride<D> + column, a.q + (used ? head * D + column : 0), used ? 16 : 0);
  }
  load_tile<D>(a, table, kv_head, item.kv_begin, item.kv_end, stages);
  cp_async_commit();

  RowState<D, MT> state;
  state.clear();
  const int own = warp * MT * 16;  // the warp's first row
  const bf16* q_at = q_rows + (own + lane % 16) * kRowStride<D> + lane / 16 * 8;
  int stage = 0;
  for (int p = item.kv_begin; p < item.kv_end; p += kPositions<D>, stage ^= 1) {
    cp_async_wait<0>();
    __syncthreads();  // the tile has landed, and all have left the other stage
    if (p + kPositions<D> < item.kv_end) {
      load_tile<D>(a, table, kv_head, p + kPositions<D>, item.kv_end, stages + (stage ^ 1) * kStage);
      cp_async_commit();
    }
    const bf16* k_rows = stages + stage * kStage;
    float scores[MT][NT][4] = {};
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
      uint32_t q[MT][4];
#pragma unroll
      for (int m = 0; m < MT; m++) ldmatrix_x4(q[m], q_at + m * 16 * kRowStride<D> + k * 16);
#pragma unroll
      for (int n = 0; n < NT / 2; n++) {
        uint32_t b[4];
        load_keys<D>(b, k_rows, n, k, lane);
#pragma unroll
        for (int m = 0; m < MT; m++) {
          mma_bf16(scores[m][2 * n], q[m], b);
          mma_bf16(scores[m][2 * n + 1], q[m], b + 2);
        }
      }
    }
    const bool cut = mask.cuts(p, kPositions<D>, rows);
#pragma unroll
    for (int m = 0; m < MT; m++) {
      if (a.softcap > 0) cap_scores(scores[m], a.scale, a.softcap);
      if (cut) hide(scores[m], mask, own + m * 16 + lane / 4, p, lane);
      state.softmax(scores[m], m, scale_log2);
    }
    weigh_values<D, MT, NT>(state, scores, k_rows + kPositions<D> * kRowStride<D>, lane);
  }

  state.finish();
#pragma unroll
  for (int m = 0; m < MT; m++) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int row = own + m * 16 + half * 8 + lane / 4;
      if (row >= rows) continue;
      const int token = row / group, head = kv_head * group + row % group;
      const float total = state.sum[m][half];
      if (item.partial < 0) {
        bf16* to = a.out + (static_cast<int64_t>(item.query + token) * a.heads + head) * D + lane % 4 * 2;
        const float inverse = 1.0f / total;
#pragma unroll
        for (int n = 0; n < D / 8; n++) {
          *reinterpret_cast<uint32_t*>(to + n * 8) =
              pack_bf16(state.out[m][n][2 * half] * inverse, state.out[m][n][2 * half + 1] * inverse);
        }
      } else {
        const int64_t slot = static_cast<int64_t>(item.partial + token) * a.heads + head;
        float* to = a.partial_out + slot * D + lane % 4 * 2;
#pragma unroll
        for (int n = 0; n < D / 8; n++) {
          *reinterpret_cast<float2*>(to + n * 8) = make_float2(state.out[m][n][2 * half], state.out[m][n][2 * half + 1]);
        }
        if (lane % 4 == 0) a.partial_stats[slot] = make_float2(state.largest[m][half] * scale_log2, total);
      }
    }
  }
}

template <int D>
cudaError_t run(const AttentionArgs& args, int capacity, cudaStream_t stream) {
  auto kernel = attention_prefill_kernel<D>;
  allow_shared(kernel, kShared<D>);
  LAUNCH(kernel, capacity * args.kv_heads, kThreads, kShared<D>, stream, args);
  return launched();
}

}  // namespace

cudaError_t attention_prefill(const AttentionArgs& args, int capacity, cudaStream_t stream) {
  return with_head_dim(args.head_dim, [&](auto dim) { return run<decltype(dim)::value>(args, capacity, stream); });
}

}  // namespace quire::cuda
