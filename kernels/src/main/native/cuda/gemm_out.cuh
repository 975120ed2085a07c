// The last step of every product: bias, what out held, rounding.
#ifndef QUIRE_CUDA_GEMM_OUT_CUH
#define QUIRE_CUDA_GEMM_OUT_CUH

#include "gemm.h"

namespace quire::cuda {

/// Writes columns column, column + 1 (column even) of a row.
__device__ __forceinline__ void put_pair(const GemmArgs& g, int row, int column, float first, float second) {
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
