// Draws: min_p, top_k and top_p as one lowest choice, then the inverse of the cumulative sum in order of token. One block
// per sample. Of a top_k up to kFew the rest is done on the best alone, with the same sums.
#include "../cpu/philox.h"
#include "sample_row.cuh"

namespace quire::cuda {
namespace {

/// A thread each.
constexpr int kFew = kRowThreads;

struct Shared {
  RowShared row;
  uint64_t choice[kFew], weight[kFew];
  int32_t token;
};

/// What top_p asks of a sum; never nothing.
__device__ __forceinline__ uint64_t goal_of(float top_p, uint64_t sum) {
  return static_cast<uint64_t>(fmax(1.0, ceil(top_p * static_cast<double>(sum))));
}

/// The whole part of uniform * total: uniform has 24 bits.
__device__ __forceinline__ uint64_t point_of(float uniform, uint64_t total) {
  const uint64_t steps = static_cast<uint64_t>(uniform * 0x1p24f);
  return ((total >> 32) * steps << 8) + ((total & 0xffffffffu) * steps >> 24);
}

/// The sum of the weights of the n whose choice, or token, comes before a thread's own.
template <class Before>
__device__ __forceinline__ uint64_t sum_before(const Shared* shared, int n, Before before) {
  uint64_t sum = 0;
  for (int j = 0; j < n; j++) sum += before(shared->choice[j]) ? shared->weight[j] : 0;
  return sum;
}

/// The draw among the top_k best.
__device__ __forceinline__ int draw_of_few(Shared* shared, const float* x, int vocab, const QrSampleRow& row, const Weigh& weigh,
                                           float uniform) {
  const int n = row.top_k, t = threadIdx.x;
  collect(&shared->row, x, vocab, n, shared->choice);
  const uint64_t own = t < n ? shared->choice[t] : 0;
  uint64_t weight = t < n ? weigh(logit_of(own)) : 0;
  shared->weight[t] = weight;
  uint64_t total = block_sum(&shared->row, weight);
  if (row.top_p < 1) {
    const bool kept = sum_before(shared, n, [own](uint64_t other) { return other > own; }) < goal_of(row.top_p, total);
    weight = kept ? weight : 0;
    __syncthreads();
    shared->weight[t] = weight;
    total = block_sum(&shared->row, weight);
  }
  const uint64_t point = point_of(uniform, total);
  const uint64_t before = sum_before(shared, n, [own](uint64_t other) { return token_of(other) < token_of(own); });
  if (before <= point && point - before < weight) shared->token = token_of(own);
  __syncthreads();
  return shared->token;
}

/// The first token at which the cumulative sum of what is not below `cut` exceeds `uniform` of its total: 32 ranges at a
/// time, each summed by a warp, of which one is cut on. The same in every thread of the first warp.
__device__ __forceinline__ int invert(RowShared* shared, const float* x, int vocab, uint64_t cut, const Weigh& weigh, float uniform) {
  const int warp = threadIdx.x / kWarpSize, lane = threadIdx.x % kWarpSize;
  auto weight = [&](int i, float logit) { return choice_key(logit, i) < cut ? 0 : weigh(logit); };
  int from = 0, to = vocab, range = 0;
  uint64_t point = 0;
  do {
    const bool whole = range == 0;
    range = ceil_div(ceil_div(to - from, kRowWarps), kWarpSize) * kWarpSize;
    uint64_t sum = 0;
    for_row(x, min(to, from + warp * range), min(to, from + (warp + 1) * range), lane, kWarpSize,
            [&](int i, float logit) { sum += weight(i, logit); });
    sum = warp_sum(sum);
    __syncthreads();
    if (lane == 0) shared->warps[warp] = sum;
    __syncthreads();
    const uint64_t own = shared->warps[lane], reached = warp_sum_up(own), total = __shfl_sync(kAllLanes, reached, kWarpSize - 1);
    if (whole) point = point_of(uniform, total);
    const int chosen = static_cast<int>(warp_sum(static_cast<uint64_t>(reached <= point)));
    point -= __shfl_sync(kAllLanes, reached - own, chosen);
    from += chosen * range;
    to = min(to, from + range);
  } while (range > kWarpSize);
  const uint64_t reached = warp_sum_up(from + lane < to ? weight(from + lane, x[from + lane]) : 0);
  return from + static_cast<int>(warp_sum(static_cast<uint64_t>(reached <= point)));
}

__device__ __forceinline__ int draw_of_row(RowShared* shared, const float* x, int vocab, const QrSampleRow& row, const Weigh& weigh,
                                           float uniform) {
  uint64_t cut = 0;
  if (row.top_k > 0 && row.top_k < vocab) {
    const uint64_t k = static_cast<uint64_t>(row.top_k);
    cut = cut_at(shared, x, vocab, cut, CountOne(), [k](uint64_t) { return k; });
  }
  if (row.top_p < 1) {
    const float p = row.top_p;
    cut = cut_at(shared, x, vocab, cut, weigh, [p](uint64_t sum) { return goal_of(p, sum); });
  }
  return invert(shared, x, vocab, cut, weigh, uniform);
}

__global__ void __launch_bounds__(kRowThreads) draw_kernel(SampleArgs a, int first) {
  start_after_previous();
  DYN_SMEM(Shared, shared);
  const int s = first + blockIdx.x;
  const QrSampleRow& row = a.samples[s];
  if (!drawn(row) || chosen_token(best_of_sample(a, s)) < 0) return;
  const bool copied = adjusted(row);
  const float* x = copied ? adjusted_of_place(a, blockIdx.x) : a.logits + static_cast<int64_t>(row.row) * a.stride;
  const uint64_t best = copied ? best_of_pieces(choices_of_place(a, blockIdx.x), a.vocab) : best_of_sample(a, s);
  int token = chosen_token(best);
  if (token >= 0 && row.temperature > 0) {
    const Weigh weigh = {logit_of(best), row.temperature, fminf(row.min_p, 1)};
    const float uniform = philox_uniform(row.seed, row.position, row.stream);
    const bool few = row.top_k > 0 && row.top_k < min(a.vocab, kFew + 1);
    token = few ? draw_of_few(shared, x, a.vocab, row, weigh, uniform) : draw_of_row(&shared->row, x, a.vocab, row, weigh, uniform);
  }
  if (threadIdx.x == 0) a.token[s] = token;
}

}  // namespace

void launch_draw(const SampleArgs& args, int first, int n, cudaStream_t stream) {
  LAUNCH(draw_kernel, n, kRowThreads, sizeof(Shared), stream, args, first);
}

}  // namespace quire::cuda
