// Philox4x32-10 (Salmon, Moraes, Dror, Shaw: "Parallel random numbers: as easy as 1, 2, 3", 2011): four random words as
// a function of counter and key.
#ifndef QUIRE_CPU_PHILOX_H
#define QUIRE_CPU_PHILOX_H

#include <stdint.h>

#ifdef __CUDACC__
#define QR_BOTH_SIDES __host__ __device__
#else
#define QR_BOTH_SIDES
#endif

namespace quire {

QR_BOTH_SIDES static inline void philox4x32(uint32_t counter[4], uint32_t key0, uint32_t key1) {
  for (int round = 0; round < 10; round++) {
    const uint64_t a = (uint64_t)0xD2511F53u * counter[0], b = (uint64_t)0xCD9E8D57u * counter[2];
    const uint32_t c1 = counter[1], c3 = counter[3];
    counter[0] = (uint32_t)(b >> 32) ^ c1 ^ key0;
    counter[1] = (uint32_t)b;
    counter[2] = (uint32_t)(a >> 32) ^ c3 ^ key1;
    counter[3] = (uint32_t)a;
    key0 += 0x9E3779B9u;
    key1 += 0xBB67AE85u;
  }
}

/// A number in [0, 1) with 24 random bits.
QR_BOTH_SIDES static inline float philox_uniform(uint64_t seed, uint32_t position, uint32_t stream) {
  uint32_t counter[4] = {position, stream, 0, 0};
  philox4x32(counter, (uint32_t)seed, (uint32_t)(seed >> 32));
  return (float)(counter[0] >> 8) * 0x1p-24f;
}

}  // namespace quire

#endif
