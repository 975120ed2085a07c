// The part of cuBLASLt's C interface that a dense product needs, bound at run time so that nothing depends on it.
#ifndef QUIRE_CUDA_CUBLASLT_H
#define QUIRE_CUDA_CUBLASLT_H

#include <map>
#include <vector>

#include "gemm.h"

namespace quire::cuda {

/// Layout of cublasLtMatmulHeuristicResult_t.
struct Heuristic {
  uint64_t algorithm[8];
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};

/// Both sides of a product as E4M3 codes: each of its numbers is multiplied by the scale of its row and of its column.
struct Float8Operands {
  const uint8_t *x, *weight;             // [rows, k], [n, k]
  const float *x_scale, *weight_scale;  // [rows], [n]
};

/// Products out[rows, n] (+)= x[rows, k] W[n, k]^T, in cuBLAS's column-major terms W^T x. All in bf16, out also in float, x and
/// W also in E4M3.
class CublasLt {
 public:
  struct Shape {
    int32_t rows, n, k, stride;  // of out
    bool out_float, float8 = false;
    auto operator<=>(const Shape&) const = default;
  };
  struct Product {
    void *desc = nullptr, *weight = nullptr, *x = nullptr, *out = nullptr;
    std::vector<Heuristic> algorithms;  // the best first by its own estimate; empty: it refuses the shape
  };

  /// QR_CUBLASLT names another file than the loader's libcublasLt.so.13.
  CublasLt();
  CublasLt(const CublasLt&) = delete;
  /// The library stays loaded.
  ~CublasLt();
  bool present() const { return handle_ != nullptr; }

  Product plan(const Shape& shape) const;
  /// Nonzero where the product was not started.
  int run(const Product& product, int algorithm, const void* x, const void* weight, void* out, bool add, cudaStream_t stream) const;
  int run(const Product& product, int algorithm, const Float8Operands& operands, void* out, bool add, cudaStream_t stream) const;
  /// By the first algorithm. False where another kernel has to do it: a bias, an alignment or a shape that it refuses.
  bool multiply(const GemmArgs& args, cudaStream_t stream);
  /// The same of these instead of the arguments' x and weight, on devices that multiply E4M3.
  bool multiply(const GemmArgs& args, const Float8Operands& operands, cudaStream_t stream);

 private:
  void *handle_ = nullptr, *workspace_ = nullptr;
  std::map<Shape, Product> known_;
  int (*create_)(void**) = nullptr;
  int (*matmul_)(void*, void*, const void*, const void*, void*, const void*, void*, const void*, const void*, void*, void*,
                 void*, const void*, void*, size_t, cudaStream_t) = nullptr;
  int (*desc_create_)(void**, int, int) = nullptr;
  int (*desc_set_)(void*, int, const void*, size_t) = nullptr;
  int (*layout_create_)(void**, int, uint64_t, uint64_t, int64_t) = nullptr;
  int (*preference_create_)(void**) = nullptr;
  int (*preference_set_)(void*, int, const void*, size_t) = nullptr;
  int (*preference_destroy_)(void*) = nullptr;
  int (*heuristic_)(void*, void*, void*, void*, void*, void*, void*, int, Heuristic*, int*) = nullptr;

  bool bind(void* library);
  /// Those of each product; of a plan any, without which the heuristics find nothing.
  int set_scales(const Product& product, const float* weight, const float* x) const;
  /// The product of a shape, null where it is refused.
  const Product* planned(const Shape& shape);
};

}  // namespace quire::cuda

#endif
