// The last step of every product: bias, what out held, rounding.
#ifndef QUIRE_CUDA_GEMM_OUT_CUH
#define QUIRE_CUDA_GEMM_OUT_CUH

#include "gemm.h"

namespace quire::cuda {

/// Writes one column of a row.
__device__ __forceinline__ void put_one(const GemmArgs& g, int row, int column, float value) {
  if (g.bias != nullptr) value += g.bias[column];
  const int64_t at = static_cast<int64_t>(row) * g.stride + column;
  if (g.out_float != 0) {
    float* out = static_cast<float*>(g.out) + at;
    *out = (g.add != 0 ? *out : 0) + value;
  } else {
    bf16* out = static_cast<bf16*>(g.out) + at;
    *out = to_bf16((g.add != 0 ? to_float(*out) : 0) + value);
  }
}

/// Writes columns column, column + 1 (column even) of a row, the second where there is one.
__device__ __forceinline__ void put_pair(const GemmArgs& g, int row, int column, float first, float second) {
  const uint64_t first_element = reinterpret_cast<uint64_t>(g.out) / (g.out_float != 0 ? sizeof(float) : sizeof(bf16));
  if (((g.stride | first_element) & 1) != 0 || column + 1 == g.n) {  // no pair is aligned, or there is none
    put_one(g, row, column, first);
    if (column + 1 < g.n) put_one(g, row, column + 1, second);
    return;
  }
  if (g.bias != nullptr) {
    first += g.bias[column];
    second += g.bias[column + 1];
  }
  const int64_t at = static_cast<int64_t>(row) * g.stride + column;
  if (g.out_float != 0) {
    float2* out = reinterpret_cast<float2*>(static_cast<float*>(g.out) + at);
    const float2 before = g.add != 0 ? *out : make_float2(0, 0);
    *out = make_float2(before.x + first, before.y + second);
  } else {
    uint32_t* out = reinterpret_cast<uint32_t*>(static_cast<bf16*>(g.out) + at);
    const uint32_t before = g.add != 0 ? *out : 0;
    *out = pack_bf16(low_float(before) + first, high_float(before) + second);
  }
}

}  // namespace quire::cuda

#endif
