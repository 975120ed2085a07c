// Logits as integers whose order is the order of preference.
#ifndef QUIRE_CUDA_LOGIT_KEY_CUH
#define QUIRE_CUDA_LOGIT_KEY_CUH

#include "device.cuh"

namespace quire::cuda {

constexpr uint32_t kKeyOfMinusInfinity = 0x007fffffu;
constexpr uint32_t kKeyOfBad = 0xffffffffu;

/// Larger for larger logits; NaN and +infinity become the largest of all.
__device__ __forceinline__ uint32_t logit_key(float logit) {
  if (!(logit < INFINITY)) return kKeyOfBad;
  const uint32_t bits = float_to_bits(logit);
  return (bits & 0x80000000u) != 0 ? ~bits : bits | 0x80000000u;
}

/// The larger logit first, then the lower token.
__device__ __forceinline__ uint64_t choice_key(uint32_t key, int token) {
  return static_cast<uint64_t>(key) << 32 | static_cast<uint32_t>(~token);
}
__device__ __forceinline__ int chosen_token(uint64_t choice) {
  const uint32_t key = static_cast<uint32_t>(choice >> 32);
  return key == kKeyOfBad || key <= kKeyOfMinusInfinity ? -1 : static_cast<int>(~static_cast<uint32_t>(choice));
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
