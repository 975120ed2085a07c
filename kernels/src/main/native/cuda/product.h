// A matrix product by whichever kernel is fastest for its format and shape.
#ifndef QUIRE_CUDA_PRODUCT_H
#define QUIRE_CUDA_PRODUCT_H

#include "cublaslt.h"

namespace quire::cuda {

/// From here on quantised weights are made dense first, a piece at a time: unpacking them once costs less than doing it for
/// every 64 rows, and cuBLASLt multiplies the rest.
constexpr int kDenseRows = 128;

/// What products of these sizes, or of fewer rows, need: floats of GemmArgs::slices, bytes of dense and codes.
struct ProductWorkspace {
  int64_t slices = 0, dense = 0, codes = 0;
};
ProductWorkspace product_workspace(WeightFormat format, int rows, int n, int k);

cudaError_t product(CublasLt& lt, WeightFormat format, const GemmArgs& args, cudaStream_t stream);

}  // namespace quire::cuda

#endif
