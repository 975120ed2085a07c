// Attention, tier 1, few queries: 16 rows (query heads of a kv head, by tokens) against a range of the context.
// Each of the four warps streams its own quarter of the range, 16 positions at a time, through its own cp.async ring:
// no barrier of the block until the four are added up. The ring runs on into the block's next item.
#include "attention_tile.cuh"

namespace quire::cuda {
namespace {

constexpr int kWarps = 4;
constexpr int kChunk = 16;  // positions a warp takes at a time

/// Codes are half the bytes, of which as many should be under way.
template <int D, KvKind kKv>
constexpr int kStages = scaled(kKv) ? (D <= 128 ? 5 : 3) : (D <= 128 ? 3 : 2);
/// Rows that are added up at a time, and floats from one to the next: 8 more than D, so that eight lanes that write a
/// column of rows meet different banks.
constexpr int kSumRows = 4;
template <int D>
constexpr int kSumStride = D + 8;
template <int D, KvKind kKv>
constexpr size_t kShared = static_cast<size_t>(kWarps) * kStages<D, kKv> * stage_bytes<D, kKv>(kChunk) +
                           (kWarps * kSumRows * kSumStride<D> + kWarps * kDecodeRows * 2) * sizeof(float);

/// Where a warp's ring stands in the list of items.
struct Cursor {
  int work;      // item * kv_heads + kv_head
  int p, end;    // next position to load, and the end of the item
  int kv_head;
  const int32_t* table;
  int block;     // that holds p

  __device__ __forceinline__ void open(const AttentionArgs& a, int total, int warp) {
    p = end = 0;
    while (work < total) {
      const AttentionItem& item = a.decode[work / a.kv_heads];
      kv_head = work % a.kv_heads;
      p = item.kv_begin + warp * kChunk;
      end = item.kv_end;
      table = a.block_table + static_cast<int64_t>(item.sequence) * a.table_stride;
      if (p < end) break;
      work += gridDim.x;
    }
    if (p < end) block = table[p >> a.block_shift];
  }

  __device__ __forceinline__ void advance(const AttentionArgs& a, int total, int warp) {
    p += kWarps * kChunk;
    if (p < end) {
      block = table[p >> a.block_shift];
    } else {
      work += gridDim.x;
      open(a, total, warp);
    }
  }
};

/// Starts the copy of the cursor's 16 rows of K and of V, and of their scales. Positions past the end become zero.
template <int D, KvKind kKv>
__device__ __forceinline__ void load_chunk(const AttentionArgs& a, const Cursor& at, uint8_t* stage, int lane) {
  constexpr int kVectors = kKvVectors<D, kKv>, kStride = kKvStride<D, kKv>;
  const int64_t head = ((static_cast<int64_t>(at.block) * a.kv_heads + at.kv_head) << a.block_shift) * token_bytes(kKv, D);
  const int offset = at.p & ((1 << a.block_shift) - 1);
  const uint8_t *keys = static_cast<const uint8_t*>(a.k_cache) + head, *values = static_cast<const uint8_t*>(a.v_cache) + head;
#pragma unroll
  for (int i = 0; i < (kChunk * kVectors + kWarpSize - 1) / kWarpSize; i++) {
    const int vector = i * kWarpSize + lane, row = vector / kVectors;
    if (kChunk * kVectors % kWarpSize != 0 && row >= kChunk) continue;
    const int bytes = at.p + row < at.end ? 16 : 0, from = offset * D * kv_bytes(kKv) + vector * 16;
    uint8_t* to = stage + row * kStride + vector % kVectors * 16;
    cp_async16(to, keys + from, bytes);
    cp_async16(to + kChunk * kStride, values + from, bytes);
  }
  if constexpr (scaled(kKv)) {
    constexpr int kOf = kChunk / 4;  // vectors of scales of K, and as many of V
    if (lane >= 2 * kOf) return;
    const int first = lane % kOf * 4, bytes = min(max(at.end - at.p - first, 0), 4) * 4;
    const uint8_t* from = (lane < kOf ? keys : values) + (D << a.block_shift) + (offset + first) * 4;
    cp_async16(stage + 2 * kChunk * kStride + lane * 16, from, bytes);
  }
}

/// Q of the item as fragments, straight from global memory, in the order of codes where there are such; rows beyond the
/// item's are zero.
template <int D, KvKind kKv>
__device__ __forceinline__ void load_queries(uint32_t (&q)[D / 16][4], const AttentionArgs& a, const AttentionItem& item,
                                             int kv_head, int rows, int lane) {
  const int group = a.heads / a.kv_heads;
#pragma unroll
  for (int half = 0; half < 2; half++) {
    const int row = lane / 4 + half * 8;
    const bf16* from = a.q + (static_cast<int64_t>(item.query + row / group) * a.heads + kv_head * group + row % group) * D;
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
      uint2 pairs = {0, 0};
      if (scaled(kKv) && row < rows) {
        pairs = in_code_order(*reinterpret_cast<const uint2*>(from + k * 16 + lane % 4 * 4));
      } else if (row < rows) {
        pairs.x = *reinterpret_cast<const uint32_t*>(from + k * 16 + lane % 4 * 2);
        pairs.y = *reinterpret_cast<const uint32_t*>(from + k * 16 + lane % 4 * 2 + 8);
      }
      q[k][half] = pairs.x;
      q[k][half + 2] = pairs.y;
    }
  }
}

/// Adds up the warps' states in the order of the warps, four rows at a time, and writes the item's rows.
/// sums [warp][4][kSumStride], stats [warp][16].
template <int D, KvKind kKv>
__device__ __forceinline__ void combine(const AttentionArgs& a, const AttentionItem& item, int kv_head, int rows,
                                        RowState<D, 1>& state, float* sums, float2* stats, float scale_log2) {
  const int warp = threadIdx.x / kWarpSize, lane = threadIdx.x % kWarpSize, group = a.heads / a.kv_heads;
  state.finish();
  if (lane % 4 == 0) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      stats[warp * kDecodeRows + lane / 4 + half * 8] = make_float2(state.largest[0][half], state.sum[0][half]);
    }
  }
  for (int base = 0; base < rows; base += kSumRows) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const int row = lane / 4 + half * 8 - base;
      if (row < 0 || row >= kSumRows) continue;
      float* to = sums + (warp * kSumRows + row) * kSumStride<D>;
#pragma unroll
      for (int n = 0; n < D / 8; n++) {
        *reinterpret_cast<float2*>(to + couple_column<kKv>(n, lane)) = couple<kKv>(state.out[0], n, half);
      }
    }
    __syncthreads();
    for (int i = threadIdx.x; i < min(kSumRows, rows - base) * (D / 2); i += kWarps * kWarpSize) {
      const int local = i / (D / 2), column = i % (D / 2) * 2, row = base + local, token = row / group;
      float most = -INFINITY, total = 0;
      for (int w = 0; w < kWarps; w++) most = fmaxf(most, stats[w * kDecodeRows + row].x);
      float2 value = make_float2(0, 0);
      for (int w = 0; w < kWarps && most > -INFINITY; w++) {
        const float2 part = stats[w * kDecodeRows + row];
        const float2 out = *reinterpret_cast<const float2*>(sums + (w * kSumRows + local) * kSumStride<D> + column);
        const float keep = exp2_approx((part.x - most) * scale_log2);
        total += part.y * keep;
        value.x += out.x * keep;
        value.y += out.y * keep;
      }
      const int head = kv_head * group + row % group;
      if (item.partial < 0) {
        const int64_t to = (static_cast<int64_t>(item.query + token) * a.heads + head) * D + column;
        *reinterpret_cast<uint32_t*>(a.out + to) = pack_bf16(value.x / total, value.y / total);
      } else {
        const int64_t to = static_cast<int64_t>(item.partial + token) * a.heads + head;
        *reinterpret_cast<float2*>(a.partial_out + to * D + column) = value;
        if (column == 0) a.partial_stats[to] = make_float2(most * scale_log2, total);
      }
    }
    __syncthreads();  // the next rows, or the next item, are written there
  }
}

template <int D, KvKind kKv>
__global__ void __launch_bounds__(kWarps* kWarpSize, D <= 128 ? 2 : 1) attention_decode_kernel(AttentionArgs a) {
  start_after_previous();
  constexpr int kStage = stage_bytes<D, kKv>(kChunk), kRing = kStages<D, kKv>;
  DYN_SMEM(uint8_t, rings);
  const int warp = threadIdx.x / kWarpSize, lane = threadIdx.x % kWarpSize;
  uint8_t* ring = rings + warp * kRing * kStage;
  float* sums = reinterpret_cast<float*>(rings + kWarps * kRing * kStage);
  float2* stats = reinterpret_cast<float2*>(sums + kWarps * kSumRows * kSumStride<D>);
  const int total = a.counts->decode * a.kv_heads, group = a.heads / a.kv_heads;
  const float scale_log2 = a.scale * 1.44269504f;

  Cursor next = {static_cast<int>(blockIdx.x), 0, 0, 0, nullptr, 0};
  next.open(a, total, warp);
  int filled = 0, used = 0;  // stages, modulo the ring
  auto load_next = [&] {
    if (next.p < next.end) {
      load_chunk<D, kKv>(a, next, ring + filled * kStage, lane);
      next.advance(a, total, warp);
    }
    cp_async_commit();
    filled = filled + 1 == kRing ? 0 : filled + 1;
  };
#pragma unroll
  for (int i = 0; i < kRing - 1; i++) load_next();

  for (int work = blockIdx.x; work < total; work += gridDim.x) {
    const AttentionItem item = a.decode[work / a.kv_heads];
    const int kv_head = work % a.kv_heads, rows = item.queries * group;
    const Mask mask = {item.position, group, a.window};
    uint32_t q[D / 16][4];
    load_queries<D, kKv>(q, a, item, kv_head, rows, lane);
    RowState<D, 1> state;
    state.clear();
    for (int p = item.kv_begin + warp * kChunk; p < item.kv_end; p += kWarps * kChunk) {
      cp_async_wait<kRing - 2>();
      __syncwarp();
      load_next();  // into the stage that the warp has just left
      const uint8_t* keys = ring + used * kStage;
      const float* scales = scales_of<D, kKv>(keys, kChunk);
      used = used + 1 == kRing ? 0 : used + 1;
      float scores[1][2][4] = {};
      score_keys<D, kKv>(scores, keys, lane, [&](uint32_t (&fragments)[1][4], int k) {
#pragma unroll
        for (int i = 0; i < 4; i++) fragments[0][i] = q[k][i];
      });
      if constexpr (scaled(kKv)) scale_columns(scores, scales, lane);
      if (a.softcap > 0) cap_scores(scores[0], a.scale, a.softcap);
      if (mask.cuts(p, kChunk, rows)) hide(scores[0], mask, lane / 4, p, lane);
      state.softmax(scores[0], 0, scale_log2);
      if constexpr (scaled(kKv)) scale_columns(scores, scales + kChunk, lane);
      weigh_values<D, kKv>(state, scores, keys + kChunk * kKvStride<D, kKv>, lane);
    }
    combine<D, kKv>(a, item, kv_head, rows, state, sums, stats, scale_log2);
  }
  cp_async_wait<0>();
}

template <int D, KvKind kKv>
cudaError_t run(const AttentionArgs& args, int capacity, cudaStream_t stream) {
  auto kernel = attention_decode_kernel<D, kKv>;
  allow_shared(kernel, kShared<D, kKv>);
  const int grid = min(capacity * args.kv_heads, resident_blocks(D <= 128 ? 2 : 1));
  LAUNCH(kernel, grid, kWarps * kWarpSize, kShared<D, kKv>, stream, args);
  return launched();
}

}  // namespace

cudaError_t attention_decode(const AttentionArgs& args, int capacity, cudaStream_t stream) {
  return with_head_dim(args.head_dim, [&](auto dim) {
    return with_kv(args.kv, [&](auto kv) { return run<decltype(dim)::value, decltype(kv)::value>(args, capacity, stream); });
  });
}

}  // namespace quire::cuda
