// Logits as integers whose order is the order of preference.
#ifndef QUIRE_CUDA_LOGIT_KEY_CUH
#define QUIRE_CUDA_LOGIT_KEY_CUH

#include "device.cuh"

namespace quire::cuda {

constexpr uint32_t kKeyOfMinusInfinity = 0x007fffffu;
constexpr uint32_t kKeyOfBad = 0xffffffffu;
/// Bits of a choice below its key, for the token.
constexpr int kTokenBits = 22;
constexpr uint64_t kMostToken = (1u << kTokenBits) - 1;

/// Larger for larger logits; NaN and +infinity become the largest of all.
__device__ __forceinline__ uint32_t logit_key(float logit) {
  if (!(logit < INFINITY)) return kKeyOfBad;
  const uint32_t bits = float_to_bits(logit + 0.0f);  // the zeros are equal
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}
__device__ __forceinline__ float logit_of(uint32_t key) {
  return bits_to_float((key & 0x80000000u) != 0 ? key & 0x7fffffffu : ~key);
}

/// The larger logit first, then the lower token; none are equal. The token is below 1 << kTokenBits.
__device__ __forceinline__ uint64_t choice_key(float logit, int token) {
  return static_cast<uint64_t>(logit_key(logit)) << kTokenBits | (kMostToken - static_cast<uint32_t>(token));
}
__device__ __forceinline__ int token_of(uint64_t choice) { return static_cast<int>(kMostToken - (choice & kMostToken)); }
__device__ __forceinline__ float logit_of(uint64_t choice) { return logit_of(static_cast<uint32_t>(choice >> kTokenBits)); }
/// -1 where there is no finite logit, or one that is none.
__device__ __forceinline__ int chosen_token(uint64_t best) {
  const uint32_t key = static_cast<uint32_t>(best >> kTokenBits);
  return key == kKeyOfBad || key <= kKeyOfMinusInfinity ? -1 : token_of(best);
}

__device__ __forceinline__ uint64_t warp_max(uint64_t value) {
  for (int step = kWarpSize / 2; step > 0; step /= 2) {
    const uint64_t other = __shfl_xor_sync(kAllLanes, value, step);
    value = value > other ? value : other;
  }
  return value;
}

}  // namespace quire::cuda

#endif
