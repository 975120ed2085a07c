// Packed tiles of quantised weights, 16 rows by 64 columns: two groups of 32 columns.
//
// Lane l = (g, t) holds, of rows g and g + 8, columns 8t .. 8t + 7 of each group h. The tensor core's step s of a group
// takes as its operand a[i] the pair of columns 8t + 4s + 2(i / 2), + 1 of row g + 8 (i % 2). The order of columns
// within a group is ours to choose, as long as x follows it: a lane's share of x is then 16 consecutive bytes.
//   int4, 640 bytes: 16 bytes a lane, word 2h + s, pair i in nibbles i and i + 4; then for each g four pairs of halves
//     (scale, minimum): (row g, group 0), (g, 1), (g + 8, 0), (g + 8, 1).
//   int8, 1088 bytes: 16 bytes a lane for group 0, then for group 1, word 2s + i / 2, pair i in bytes i % 2 and
//     i % 2 + 2; then for each g four halves, scales in the same order.
//   float8: as int8.
#ifndef QUIRE_CUDA_QUANT_CUH
#define QUIRE_CUDA_QUANT_CUH

#include "gemm.h"

namespace quire::cuda {

constexpr uint32_t kOnes = 0x3f803f80u;      // a pair of bf16 1
constexpr uint32_t kTwoTo108 = 0x75807580u;  // of 2^120 / kFloat8Unit

/// One lane's share of a tile.
template <WeightFormat kFormat>
struct QuantTile;

template <>
struct QuantTile<WeightFormat::kInt4> {
  static constexpr int kBytes = tile_bytes(WeightFormat::kInt4);
  /// Operands hold 128 + q: exact in bf16, and made by one logical operation.
  static constexpr float kOffset = 128;
  uint4 quants, factors;

  __device__ __forceinline__ void load(const uint8_t* tile, int lane) {
    quants = load_streaming(tile + lane * 16);
    factors = load_streaming(tile + 512 + lane / 4 * 16);
  }
  __device__ __forceinline__ void load_shared(const uint8_t* tile, int lane) {
    quants = *reinterpret_cast<const uint4*>(tile + lane * 16);
    factors = *reinterpret_cast<const uint4*>(tile + 512 + lane / 4 * 16);
  }
  __device__ __forceinline__ void operands(uint32_t a[4], int group, int step) const {
    const uint32_t words[4] = {quants.x, quants.y, quants.z, quants.w};
#pragma unroll
    for (int i = 0; i < 4; i++) a[i] = (words[2 * group + step] >> (4 * i) & 0x000f000fu) | 0x43004300u;
  }
  __device__ __forceinline__ float2 factor(int group, int half) const {  // scale, minimum
    const uint32_t words[4] = {factors.x, factors.y, factors.z, factors.w};
    const uint32_t pair = words[2 * half + group];
    return make_float2(half_to_float(pair & 0xffffu), half_to_float(pair >> 16));
  }
};

/// A tile of a code a byte; Pair::operand(v) makes an operand of the codes in bytes 0 and 2 of v.
template <class Pair>
struct ByteTile {
  static constexpr int kBytes = tile_bytes(WeightFormat::kInt8);
  static constexpr float kOffset = 0;
  uint4 quants[2];
  uint2 factors;

  __device__ __forceinline__ void load(const uint8_t* tile, int lane) {
    quants[0] = load_streaming(tile + lane * 16);
    quants[1] = load_streaming(tile + 512 + lane * 16);
    factors = *reinterpret_cast<const uint2*>(tile + 1024 + lane / 4 * 8);
  }
  __device__ __forceinline__ void load_shared(const uint8_t* tile, int lane) {
    quants[0] = *reinterpret_cast<const uint4*>(tile + lane * 16);
    quants[1] = *reinterpret_cast<const uint4*>(tile + 512 + lane * 16);
    factors = *reinterpret_cast<const uint2*>(tile + 1024 + lane / 4 * 8);
  }
  __device__ __forceinline__ void operands(uint32_t a[4], int group, int step) const {
    const uint4& q = quants[group];
    const uint32_t words[4] = {q.x, q.y, q.z, q.w};
#pragma unroll
    for (int i = 0; i < 4; i++) a[i] = Pair::operand(words[2 * step + i / 2] >> (8 * (i % 2)));
  }
  __device__ __forceinline__ float2 factor(int group, int half) const {
    const uint32_t word = half == 0 ? factors.x : factors.y;
    return make_float2(half_to_float(group == 0 ? word & 0xffffu : word >> 16), 0);
  }
};

struct Int8Pair {
  /// The low 7 bits are the mantissa of 128 + them; the sign bit makes the number taken away 256 instead of 128.
  static __device__ __forceinline__ uint32_t operand(uint32_t v) {
    return fma_bf16x2((v & 0x007f007fu) | 0x43004300u, kOnes, (v & 0x00800080u) | 0xc300c300u);
  }
};

struct Float8Pair {
  /// The number divided by kFloat8Unit. Code and bf16 differ in the exponent's width alone, subnormal numbers too: the
  /// code's 7 bits moved to bf16's place are 2^-120 times the number. The codes of NaN read as 480.
  static __device__ __forceinline__ uint32_t operand(uint32_t v) {
    return fma_bf16x2((v & 0x007f007fu) << 4 | (v & 0x00800080u) << 8, kTwoTo108, 0);
  }
};

template <>
struct QuantTile<WeightFormat::kInt8> : ByteTile<Int8Pair> {};

template <>
struct QuantTile<WeightFormat::kFloat8> : ByteTile<Float8Pair> {};

/// The weights of a pair of codes.
template <WeightFormat kFormat>
__device__ __forceinline__ float2 weights_of(uint32_t pair, float2 factor) {
  return make_float2(fmaf(low_float(pair) - QuantTile<kFormat>::kOffset, factor.x, factor.y),
                     fmaf(high_float(pair) - QuantTile<kFormat>::kOffset, factor.x, factor.y));
}

}  // namespace quire::cuda

#endif
