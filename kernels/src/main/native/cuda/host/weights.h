// Weights on the device: which layout a matrix of a file takes, and the way there.
#ifndef QUIRE_CUDA_WEIGHTS_H
#define QUIRE_CUDA_WEIGHTS_H

#include "gemm.h"
#include "memory.h"
#include "pack.h"
#include "threads.h"

namespace quire::cuda {

/// Where the kernels take the shape, 4-bit types and F8_E4M3 stay as they are and those of 5 to 8 bits are of 8; all else
/// becomes bf16, row by row.
WeightFormat weight_format(int32_t type, int64_t rows, int64_t cols);
inline WeightFormat weight_format(const QrWeight& w) { return weight_format(w.type, w.rows, w.cols); }
/// Bytes of a row of a matrix.
uint64_t row_bytes(WeightFormat format, int64_t cols);
/// Bytes on the device, or a failure.
int weight_bytes(int32_t type, int64_t rows, int64_t cols, uint64_t* out);

/// A matrix row-major in its file type.
struct WeightSource {
  int32_t type;
  const uint8_t* data;
  int64_t rows, cols;
};
/// Converts on the pool's threads and copies to `to`; done on return. *row_scaled: these are 8-bit floats, all scales of a row
/// being equal.
int pack_weight(Pool& pool, const WeightSource& source, uint64_t to, cudaStream_t stream, bool* row_scaled);

}  // namespace quire::cuda

#endif
