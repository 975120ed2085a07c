#include "experts.h"

#include "logit_key.cuh"
#include "rows.h"

namespace quire::cuda {
namespace {

constexpr int kThreads = 256;

/// The workspace. A pair is a row with an expert that it chose; a slot is its place once pairs are sorted by expert.
struct Sorted {
  int32_t* chosen;    // [rows, chosen], best first
  float* weight;      // [rows, chosen]
  int32_t* slot;      // [rows, chosen]
  int32_t* source;    // [slots]: the row
  ExpertTile* tiles;  // [tile_count]
  bf16* x;            // [slots, cols]
  bf16* gate_up;      // [slots, 2 inner]
  bf16* gated;        // [slots, inner]
  bf16* out;          // [slots, cols]
  bf16* dense;        // weights of experts_at_once
  int64_t bytes;
};

int pairs_of(const ExpertsArgs& a) { return a.rows * a.chosen; }

/// From so many rows an expert, on average, tiles are large and quantised weights are made dense first.
constexpr int kManyRows = 24, kVeryManyRows = 80;

/// No expert has more rows than there are.
int tile_rows(const ExpertsArgs& a) {
  const int average = pairs_of(a) / a.experts;
  return average >= kVeryManyRows ? kMostTileRows : average >= kManyRows ? 64 : a.rows <= 8 ? 8 : kSkinnyRows;
}
bool large(const ExpertsArgs& a) { return tile_rows(a) > kSkinnyRows; }

/// Dense weights at a time, in elements.
#ifdef QR_SHIM
constexpr int64_t kDenseElements = 1 << 13;  // so that the cases have several pieces
#else
constexpr int64_t kDenseElements = int64_t{32} << 20;
#endif

/// Experts whose weights are dense at a time.
int experts_at_once(const ExpertsArgs& a) {
  const int64_t each = static_cast<int64_t>(a.cols) * a.inner;
  return static_cast<int>(min(static_cast<int64_t>(a.experts), max(int64_t{1}, kDenseElements / each)));
}

/// Where the tiles of the first expert begin that has `start` rows in front of it and `expert` experts: far enough behind
/// for all tiles in front, full or not.
__host__ __device__ inline int first_tile(int expert, int start, int rows) { return start / rows + min(expert, start); }

Sorted lay_out(const ExpertsArgs& a, uint8_t* base) {
  Sorted s = {};
  auto take = [&]<class T>(T*& piece, int64_t count) {
    piece = reinterpret_cast<T*>(base + s.bytes);
    s.bytes += (count * static_cast<int64_t>(sizeof(T)) + 255) / 256 * 256;
  };
  const int64_t pairs = pairs_of(a);
  take(s.chosen, pairs);
  take(s.weight, pairs);
  take(s.slot, pairs);
  take(s.source, pairs);
  take(s.tiles, first_tile(a.experts, pairs_of(a), tile_rows(a)));
  take(s.x, pairs * a.cols);
  take(s.gate_up, pairs * 2 * a.inner);
  take(s.gated, pairs * a.inner);
  take(s.out, pairs * a.cols);
  const bool quantised = a.gate.format != WeightFormat::kBf16 || a.down.format != WeightFormat::kBf16;
  take(s.dense, large(a) && quantised ? static_cast<int64_t>(experts_at_once(a)) * a.cols * a.inner : 0);
  return s;
}

/// A warp a row. Whatever the logits are, the ids are distinct.
__global__ void expert_choice_kernel(ExpertsArgs a, Sorted s) {
  start_after_previous();
  const int lane = threadIdx.x;
  const float* logits = a.logits + static_cast<int64_t>(blockIdx.x) * a.experts;
  int32_t* chosen = s.chosen + static_cast<int64_t>(blockIdx.x) * a.chosen;
  float* weight = s.weight + static_cast<int64_t>(blockIdx.x) * a.chosen;
  uint64_t last = 0;
  float largest = 0, total = 0;
  for (int j = 0; j < a.chosen; j++) {
    uint64_t best = 0;
    for (int e = lane; e < a.experts; e += kWarpSize) {
      const uint64_t key = choice_key(logits[e], e);
      if (j == 0 || key < last) best = max(best, key);
    }
    last = warp_max(best);
    const int id = token_of(last);
    if (j == 0) largest = logits[id];
    const float odds = expf(logits[id] - largest);
    total += odds;
    if (lane == 0) {
      chosen[j] = id;
      weight[j] = odds;
    }
  }
  if (a.normalised == 0) {
    float all = 0;
    for (int e = lane; e < a.experts; e += kWarpSize) all += expf(logits[e] - largest);
    total = warp_sum(all);
  }
  if (lane != 0) return;
  for (int j = 0; j < a.chosen; j++) weight[j] /= total;
}

/// A counting sort, a warp an expert: its rows keep their order. Each lane has a piece of the pairs.
__global__ void expert_sort_kernel(ExpertsArgs a, Sorted s, int pairs, int rows) {
  start_after_previous();
  const int expert = blockIdx.x, lane = threadIdx.x;
  const int piece = ceil_div(pairs, kWarpSize), begin = lane * piece, end = min(pairs, begin + piece);
  int below = 0, own = 0;
  for (int i = begin; i < end; i++) {
    below += s.chosen[i] < expert;
    own += s.chosen[i] == expert;
  }
  int start = below, count = own, before = 0;
  for (int step = 1; step < kWarpSize; step *= 2) {
    start += __shfl_xor_sync(kAllLanes, start, step);
    const int other = __shfl_xor_sync(kAllLanes, count, step);
    before += (lane & step) != 0 ? other : 0;
    count += other;
  }
  int slot = start + before;
  for (int i = begin; i < end; i++) {
    if (s.chosen[i] != expert) continue;
    s.slot[i] = slot;
    s.source[slot++] = i / a.chosen;
  }
  const int first = first_tile(expert, start, rows), last = first_tile(expert + 1, start + count, rows);
  for (int t = first + lane; t < last; t += kWarpSize) {
    const int done = (t - first) * rows;
    s.tiles[t] = {expert, start + done, max(0, min(rows, count - done))};
  }
}

__global__ void expert_sum_kernel(ExpertsArgs a, Sorted s) {
  start_after_previous();
  const int64_t row = blockIdx.x;
  for (int column = threadIdx.x * kVector; column < a.cols; column += kThreads * kVector) {
    float sum[kVector] = {};
    if (a.add != 0) load8(sum, a.sum + row * a.cols + column);
    for (int64_t i = row * a.chosen; i < (row + 1) * a.chosen; i++) {
      float out[kVector];
      load8(out, s.out + static_cast<int64_t>(s.slot[i]) * a.cols + column);
#pragma unroll
      for (int e = 0; e < kVector; e++) sum[e] += s.weight[i] * out[e];
    }
    store8(a.sum + row * a.cols + column, sum);
  }
}

cudaError_t multiply_large(const ExpertsArgs& a, const ExpertWeights& w, GemmArgs args, const ExpertTiles& tiles, bf16* dense,
                           cudaStream_t stream) {
  if (w.format == WeightFormat::kBf16) return gemm_experts_tile(args, tiles, 0, a.experts, stream);
  cudaError_t status = cudaSuccess;
  for (int first = 0; first < a.experts && status == cudaSuccess; first += experts_at_once(a)) {
    const int end = min(a.experts, first + experts_at_once(a));
    status = dequantise(w.format, static_cast<const uint8_t*>(w.data) + first * w.expert_bytes, dense, (end - first) * args.n, args.k, stream);
    args.weight = dense;
    if (status == cudaSuccess) status = gemm_experts_tile(args, tiles, first, end, stream);
  }
  return status;
}

/// out[slot, :] = W_expert x[slot, :], a row every `stride` elements.
cudaError_t multiply(const ExpertsArgs& a, const Sorted& s, const ExpertWeights& w, const bf16* x, int k, bf16* out, int n, int stride,
                     cudaStream_t stream) {
  GemmArgs args = {};
  args.x = x;
  args.weight = w.data;
  args.out = out;
  args.n = n;
  args.k = k;
  args.stride = stride;
  const int rows = tile_rows(a);
  const ExpertTiles tiles = {s.tiles, first_tile(a.experts, pairs_of(a), rows), rows, w.expert_bytes};
  return large(a) ? multiply_large(a, w, args, tiles, s.dense, stream) : gemm_experts(w.format, args, tiles, stream);
}

}  // namespace

int64_t experts_workspace(const ExpertsArgs& args) { return lay_out(args, nullptr).bytes; }

cudaError_t experts(const ExpertsArgs& a, uint8_t* workspace, cudaStream_t stream) {
  if (a.cols % kTileColumns != 0 || a.inner % kTileColumns != 0) return cudaErrorInvalidValue;
  const Sorted s = lay_out(a, workspace);
  const int pairs = pairs_of(a);
  LAUNCH(expert_choice_kernel, a.rows, kWarpSize, 0, stream, a, s);
  LAUNCH(expert_sort_kernel, a.experts, kWarpSize, 0, stream, a, s, pairs, tile_rows(a));
  cudaError_t status = gather_rows(a.x, s.source, s.x, pairs, a.cols, stream);
  if (status == cudaSuccess) status = multiply(a, s, a.gate, s.x, a.cols, s.gate_up, a.inner, 2 * a.inner, stream);
  if (status == cudaSuccess) status = multiply(a, s, a.up, s.x, a.cols, s.gate_up + a.inner, a.inner, 2 * a.inner, stream);
  if (status == cudaSuccess) status = gated({s.gate_up, s.gated, pairs, a.inner, a.gelu}, stream);
  if (status == cudaSuccess) status = multiply(a, s, a.down, s.gated, a.inner, s.out, a.cols, a.cols, stream);
  if (status != cudaSuccess) return status;
  LAUNCH(expert_sum_kernel, a.rows, kThreads, 0, stream, a, s);
  return launched();
}

}  // namespace quire::cuda
