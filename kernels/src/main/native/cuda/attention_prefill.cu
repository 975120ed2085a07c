// Attention, tier 1, many queries: a tile of 128 rows (64 for D > 128), 64 positions (32) at a time, two stages of K, V.
// Four warps of 32 rows: with 16 rows a warp would read shared memory longer than its tensor cores compute.
#include <type_traits>

#include "attention_tile.cuh"

namespace quire::cuda {
namespace {

constexpr int kThreads = 128;

template <int D>
constexpr int kTilesOfRows = prefill_rows(D) / 64;  // of 16, per warp
/// With codes of D 128 the scores of 64 positions would not leave enough registers to make bf16 of them.
template <int D, KvKind kKv>
constexpr int kPositions = D <= (scaled(kKv) ? 96 : 128) ? 64 : 32;
template <int D, KvKind kKv>
constexpr size_t kShared = prefill_rows(D) * kRowStride<D> * sizeof(bf16) + 2 * stage_bytes<D, kKv>(kPositions<D, kKv>);

/// Starts the copy of positions [p, p + kPositions) of K and V, and of their scales; those past the end become zero.
template <int D, KvKind kKv>
__device__ __forceinline__ void load_tile(const AttentionArgs& a, const int32_t* table, int kv_head, int p, int end,
                                          uint8_t* stage) {
  constexpr int kVectors = kKvVectors<D, kKv>, kStride = kKvStride<D, kKv>, kAll = kPositions<D, kKv> * kVectors;
  constexpr int kCount = (kAll + kThreads - 1) / kThreads, kTokenBytes = token_bytes(kKv, D);
  // Where rows are no power of two long, each step's own row and column would cost registers.
  [[maybe_unused]] constexpr int kUnroll = D % 64 == 0 ? kCount : 1;
  // Row numbers of 32 bits, which reach over 256 GB of cache, where ptxas for sm_80 would spill with 64.
  using Row = std::conditional_t<D == 96, int32_t, int64_t>;
  const uint8_t *keys = static_cast<const uint8_t*>(a.k_cache), *values = static_cast<const uint8_t*>(a.v_cache);
#pragma unroll kUnroll
  for (int i = 0; i < kCount; i++) {
    const int vector = i * kThreads + threadIdx.x, row = vector / kVectors, column = vector % kVectors * 16;
    if (kAll % kThreads != 0 && row >= kPositions<D, kKv>) continue;
    const int at = p + row, bytes = at < end ? 16 : 0;
    const Row block = at < end ? table[at >> a.block_shift] : 0;
    const Row row_of_head = (block * a.kv_heads + kv_head) << a.block_shift;
    const int row_of_block = at & ((1 << a.block_shift) - 1);
    const int64_t from = static_cast<int64_t>(row_of_head) * kTokenBytes + row_of_block * (D * kv_bytes(kKv)) + column;
    uint8_t* to = stage + row * kStride + column;
    cp_async16(to, keys + from, bytes);
    cp_async16(to + kPositions<D, kKv> * kStride, values + from, bytes);
  }
  if constexpr (scaled(kKv)) {
    constexpr int kOf = kPositions<D, kKv> / 4;  // vectors of scales of K, and as many of V
    if (threadIdx.x >= 2 * kOf) return;
    const int at = p + static_cast<int>(threadIdx.x) % kOf * 4, bytes = min(max(end - at, 0), 4) * 4;
    const int64_t block = bytes > 0 ? table[at >> a.block_shift] : 0;
    const int64_t head = ((block * a.kv_heads + kv_head) << a.block_shift) * kTokenBytes;
    const uint8_t* from = (threadIdx.x < kOf ? keys : values) + head + (D << a.block_shift) + (at & ((1 << a.block_shift) - 1)) * 4;
    cp_async16(stage + 2 * kPositions<D, kKv> * kStride + threadIdx.x * 16, from, bytes);
  }
}

/// Starts the copy of 8 elements of a query, or of zeros; in the order of codes where there are such.
template <KvKind kKv>
__device__ __forceinline__ void load_query(bf16* row, int column, const bf16* from, bool used) {
  if constexpr (!scaled(kKv)) {
    cp_async16(row + column, from + (used ? column : 0), used ? 16 : 0);
  } else {
    uint4 eight = {0, 0, 0, 0};
    if (used) eight = *reinterpret_cast<const uint4*>(from + column);
    const uint2 low = in_code_order({eight.x, eight.y}), high = in_code_order({eight.z, eight.w});
    bf16* to = row + column / 16 * 16 + column % 16 / 2;
    *reinterpret_cast<uint2*>(to) = {low.x, high.x};
    *reinterpret_cast<uint2*>(to + 8) = {low.y, high.y};
  }
}

template <int D, KvKind kKv>
__global__ void __launch_bounds__(kThreads, D <= 128 ? 2 : 1) attention_prefill_kernel(AttentionArgs a) {
  start_after_previous();
  constexpr int MT = kTilesOfRows<D>, kRows = prefill_rows(D), NT = kPositions<D, kKv> / 8, kVectors = D / kVector;
  constexpr int kStage = stage_bytes<D, kKv>(kPositions<D, kKv>);
  DYN_SMEM(bf16, q_rows);
  uint8_t* stages = reinterpret_cast<uint8_t*>(q_rows + kRows * kRowStride<D>);
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
    load_query<kKv>(q_rows + row * kRowStride<D>, column, a.q + (used ? head * D : 0), used);
  }
  load_tile<D, kKv>(a, table, kv_head, item.kv_begin, item.kv_end, stages);
  cp_async_commit();

  RowState<D, MT> state;
  state.clear();
  const int own = warp * MT * 16;  // the warp's first row
  const bf16* q_at = q_rows + (own + lane % 16) * kRowStride<D> + lane / 16 * 8;
  int stage = 0;
  for (int p = item.kv_begin; p < item.kv_end; p += kPositions<D, kKv>, stage ^= 1) {
    cp_async_wait<0>();
    __syncthreads();  // the tile has landed, and all have left the other stage
    if (p + kPositions<D, kKv> < item.kv_end) {
      load_tile<D, kKv>(a, table, kv_head, p + kPositions<D, kKv>, item.kv_end, stages + (stage ^ 1) * kStage);
      cp_async_commit();
    }
    const uint8_t* keys = stages + stage * kStage;
    const float* scales = scales_of<D, kKv>(keys, kPositions<D, kKv>);
    float scores[MT][NT][4] = {};
    score_keys<D, kKv>(scores, keys, lane, [&](uint32_t (&q)[MT][4], int k) {
#pragma unroll
      for (int m = 0; m < MT; m++) ldmatrix_x4(q[m], q_at + m * 16 * kRowStride<D> + k * 16);
    });
    if constexpr (scaled(kKv)) scale_columns(scores, scales, lane);
    const bool cut = mask.cuts(p, kPositions<D, kKv>, rows);
#pragma unroll
    for (int m = 0; m < MT; m++) {
      if (a.softcap > 0) cap_scores(scores[m], a.scale, a.softcap);
      if (cut) hide(scores[m], mask, own + m * 16 + lane / 4, p, lane);
      state.softmax(scores[m], m, scale_log2);
    }
    if constexpr (scaled(kKv)) scale_columns(scores, scales + kPositions<D, kKv>, lane);
    weigh_values<D, kKv>(state, scores, keys + kPositions<D, kKv> * kKvStride<D, kKv>, lane);
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
        bf16* to = a.out + (static_cast<int64_t>(item.query + token) * a.heads + head) * D;
        const float inverse = 1.0f / total;
#pragma unroll
        for (int n = 0; n < D / 8; n++) {
          const float2 values = couple<kKv>(state.out[m], n, half);
          *reinterpret_cast<uint32_t*>(to + couple_column<kKv>(n, lane)) = pack_bf16(values.x * inverse, values.y * inverse);
        }
      } else {
        const int64_t slot = static_cast<int64_t>(item.partial + token) * a.heads + head;
        float* to = a.partial_out + slot * D;
#pragma unroll
        for (int n = 0; n < D / 8; n++) {
          *reinterpret_cast<float2*>(to + couple_column<kKv>(n, lane)) = couple<kKv>(state.out[m], n, half);
        }
        if (lane % 4 == 0) a.partial_stats[slot] = make_float2(state.largest[m][half] * scale_log2, total);
      }
    }
  }
}

template <int D, KvKind kKv>
cudaError_t run(const AttentionArgs& args, int capacity, cudaStream_t stream) {
  auto kernel = attention_prefill_kernel<D, kKv>;
  allow_shared(kernel, kShared<D, kKv>);
  LAUNCH(kernel, capacity * args.kv_heads, kThreads, kShared<D, kKv>, stream, args);
  return launched();
}

}  // namespace

cudaError_t attention_prefill(const AttentionArgs& args, int capacity, cudaStream_t stream) {
  return with_head_dim(args.head_dim, [&](auto dim) {
    return with_kv(args.kv, [&](auto kv) { return run<decltype(dim)::value, decltype(kv)::value>(args, capacity, stream); });
  });
}

}  // namespace quire::cuda
