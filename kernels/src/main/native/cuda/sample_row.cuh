// Passes over a row of logits, in sums of whole numbers: they are exact, so their order is no matter.
#ifndef QUIRE_CUDA_SAMPLE_ROW_CUH
#define QUIRE_CUDA_SAMPLE_ROW_CUH

#include "logit_key.cuh"
#include "sample.h"

namespace quire::cuda {

/// Loads under way in a thread.
constexpr int kAhead = 8;

/// use(i, x[i]) for the thread's share of [from, to): `index` of `width` threads.
template <class Use>
__device__ __forceinline__ void for_row(const float* x, int from, int to, int index, int width, Use use) {
  for (int first = from + index; first < to; first += kAhead * width) {
    float values[kAhead];
#pragma unroll
    for (int e = 0; e < kAhead; e++) values[e] = first + e * width < to ? x[first + e * width] : 0.0f;
#pragma unroll
    for (int e = 0; e < kAhead; e++) {
      if (first + e * width < to) use(first + e * width, values[e]);
    }
  }
}

__device__ __forceinline__ bool adjusted(const QrSampleRow& row) {
  return row.target < 0 && (row.bias_begin < row.bias_end || row.count_begin < row.count_end);
}
/// Whether a sample is more than the largest raw logit, or a given token.
__device__ __forceinline__ bool drawn(const QrSampleRow& row) { return adjusted(row) || (row.target < 0 && row.temperature > 0); }

/// The places in the workspace.
__device__ __forceinline__ uint64_t* choices_of_row(const SampleArgs& a, int row) {
  return a.choices + static_cast<int64_t>(row) * ceil_div(a.vocab, kSamplePiece);
}
__device__ __forceinline__ uint64_t* choices_of_place(const SampleArgs& a, int place) { return choices_of_row(a, a.rows + place); }
__device__ __forceinline__ float* adjusted_of_place(const SampleArgs& a, int place) {
  return a.adjusted + static_cast<int64_t>(place) * a.vocab;
}
__device__ __forceinline__ uint64_t& best_of_sample(const SampleArgs& a, int sample) {
  return choices_of_place(a, min(a.n, kSampleWave))[sample];
}

/// The best of a warp's piece of a row, in every lane.
__device__ __forceinline__ uint64_t best_of_pieces(const uint64_t* choices, int vocab) {
  uint64_t best = 0;
  for (int i = threadIdx.x % kWarpSize; i < ceil_div(vocab, kSamplePiece); i += kWarpSize) best = max(best, choices[i]);
  return warp_max(best);
}

__device__ __forceinline__ uint64_t warp_sum(uint64_t value) {
  for (int step = kWarpSize / 2; step > 0; step /= 2) value += __shfl_xor_sync(kAllLanes, value, step);
  return value;
}
/// The sum of the lanes up to this one.
__device__ __forceinline__ uint64_t warp_sum_up(uint64_t value) {
  for (int step = 1; step < kWarpSize; step *= 2) {
    const uint64_t below = __shfl_up_sync(kAllLanes, value, step);
    if (static_cast<int>(threadIdx.x % kWarpSize) >= step) value += below;
  }
  return value;
}

constexpr int kWeightBits = 42;

/// e^((logit - largest) / temperature) in units of 2^-kWeightBits; 0 below `least`.
struct Weigh {
  float largest, temperature, least;
  __device__ __forceinline__ uint64_t operator()(float logit) const {
    const float weight = expf((logit - largest) / temperature);
    return weight >= least ? static_cast<uint64_t>(llrintf(weight * static_cast<float>(1ull << kWeightBits))) : 0;
  }
};
struct CountOne {
  __device__ __forceinline__ uint64_t operator()(float) const { return 1; }
};

/// Of a block that works on one row.
constexpr int kRowThreads = 1024, kRowWarps = kRowThreads / kWarpSize;
constexpr int kDigitBits = 11, kDigits = 1 << kDigitBits;

struct RowShared {
  uint2 sums[kDigits];  // of each digit, low and high half
  uint64_t warps[kRowWarps];
  uint64_t digit, rest, whole;
  int32_t taken;  // by collect
};

/// The sum over a block, in every thread.
__device__ __forceinline__ uint64_t block_sum(RowShared* shared, uint64_t value) {
  value = warp_sum(value);
  __syncthreads();
  if (threadIdx.x % kWarpSize == 0) shared->warps[threadIdx.x / kWarpSize] = value;
  __syncthreads();
  return warp_sum(shared->warps[threadIdx.x % kWarpSize]);
}

/// Adds to a sum in two halves, for which atomics are fast.
__device__ __forceinline__ void add(uint2* sum, uint64_t value) {
  const uint32_t low = static_cast<uint32_t>(value), before = low == 0 ? 0 : atomicAdd(&sum->x, low);
  const uint32_t high = static_cast<uint32_t>(value >> 32) + (before + low < before ? 1 : 0);
  if (high != 0) atomicAdd(&sum->y, high);
}

/// Finds the digit, from the highest down, at which the sum reaches `goal`; what is left of the goal there, and the digit's
/// sum. A thread has two digits.
__device__ __forceinline__ void find_digit(RowShared* shared, uint64_t goal) {
  uint64_t own[2];
  for (int e = 0; e < 2; e++) {
    const uint2 sum = shared->sums[kDigits - 1 - (2 * threadIdx.x + e)];
    own[e] = static_cast<uint64_t>(sum.y) << 32 | sum.x;
  }
  const int warp = threadIdx.x / kWarpSize, lane = threadIdx.x % kWarpSize;
  uint64_t reached = warp_sum_up(own[0] + own[1]);
  if (lane == kWarpSize - 1) shared->warps[warp] = reached;
  __syncthreads();
  reached += warp_sum(lane < warp ? shared->warps[lane] : 0) - own[0] - own[1];
  for (int e = 0; e < 2; e++) {
    if (reached < goal && reached + own[e] >= goal) {
      shared->digit = kDigits - 1 - (2 * threadIdx.x + e);
      shared->rest = goal - reached;
      shared->whole = own[e];
    }
    reached += own[e];
  }
  __syncthreads();
}

/// The lowest choice of the fewest, best first and none below `floor`, whose measures reach goal(sum of all), which is
/// 1 to that sum. A radix select: a pass over the row for each digit, until what is left is taken whole.
template <class Measure, class Goal>
__device__ __forceinline__ uint64_t cut_at(RowShared* shared, const float* x, int vocab, uint64_t floor, Measure measure, Goal goal) {
  uint64_t prefix = 0, rest = 0;
  for (int shift = 4 * kDigitBits; shift >= 0; shift -= kDigitBits) {
    __syncthreads();
    for (int d = threadIdx.x; d < kDigits; d += kRowThreads) shared->sums[d] = {0, 0};
    __syncthreads();
    uint64_t sum = 0;
    for_row(x, 0, vocab, threadIdx.x, kRowThreads, [&](int i, float logit) {
      const uint64_t choice = choice_key(logit, i);
      if (choice < floor || choice >> shift >> kDigitBits != prefix) return;
      const uint64_t value = measure(logit);
      sum += value;
      add(&shared->sums[choice >> shift & (kDigits - 1)], value);
    });
    sum = block_sum(shared, sum);
    if (shift == 4 * kDigitBits) rest = goal(sum);
    __syncthreads();
    find_digit(shared, rest);
    prefix = prefix << kDigitBits | shared->digit;
    rest = shared->rest;
    if (rest == shared->whole) return max(prefix << shift, floor);
  }
  return prefix;
}

/// The k best choices of a row, in no order.
__device__ __forceinline__ void collect(RowShared* shared, const float* x, int vocab, int k, uint64_t* best) {
  const uint64_t goal = static_cast<uint64_t>(k);
  const uint64_t cut = k == vocab ? 0 : cut_at(shared, x, vocab, 0, CountOne(), [goal](uint64_t) { return goal; });
  if (threadIdx.x == 0) shared->taken = 0;
  __syncthreads();
  for_row(x, 0, vocab, threadIdx.x, kRowThreads, [&](int i, float logit) {
    const uint64_t choice = choice_key(logit, i);
    if (choice >= cut) best[atomicAdd(&shared->taken, 1)] = choice;
  });
  __syncthreads();
}

}  // namespace quire::cuda

#endif
