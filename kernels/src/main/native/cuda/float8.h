// Both sides of a product as E4M3 codes, for tensor cores that multiply those: W with a scale a row, x with one that each
// row is given.
#ifndef QUIRE_CUDA_FLOAT8_H
#define QUIRE_CUDA_FLOAT8_H

#include "gemm.h"

namespace quire::cuda {

/// codes[r, c] * scale[r] is nearest to x[r, c], the largest of a row being the largest code. x, codes [rows, k], k % 8 == 0.
/// The scale of a row with a number that is not finite is not finite either.
cudaError_t quantise_rows(const bf16* x, uint8_t* codes, float* scale, int rows, int k, cudaStream_t stream);

/// Tiles of kFloat8, all of whose scales of a row are equal, as codes [n, k] and scale [n].
cudaError_t untile_float8(const uint8_t* tiles, uint8_t* codes, float* scale, int n, int k, cudaStream_t stream);

}  // namespace quire::cuda

#endif
