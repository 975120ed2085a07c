// The part of cuBLASLt's C interface that a dense product needs, bound at run time so that nothing depends on it.
#ifndef QUIRE_BENCH_CUBLASLT_H
#define QUIRE_BENCH_CUBLASLT_H

#include <cuda_runtime.h>
#include <dlfcn.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <vector>

namespace quire::bench {

/// Layout of cublasLtMatmulHeuristicResult_t.
struct Heuristic {
  uint64_t algorithm[8];
  size_t workspace;
  int state;
  float waves;
  int reserved[4];
};

/// Products out[rows, n] = x[rows, k] W[n, k]^T, in cuBLAS's column-major terms W^T x.
class CublasLt {
 public:
  static constexpr size_t kWorkspace = 32 << 20;
  enum : int { kFloat = 0, kBf16 = 14 };

  CublasLt() {
    const char* path = getenv("QR_CUBLASLT");
    library_ = dlopen(path != nullptr ? path : "libcublasLt.so.13", RTLD_NOW | RTLD_GLOBAL);
    if (library_ == nullptr) {
      printf("no cuBLASLt: %s\n", dlerror());
      return;
    }
    bind(create_, "cublasLtCreate");
    bind(matmul_, "cublasLtMatmul");
    bind(desc_create_, "cublasLtMatmulDescCreate");
    bind(desc_set_, "cublasLtMatmulDescSetAttribute");
    bind(layout_create_, "cublasLtMatrixLayoutCreate");
    bind(preference_create_, "cublasLtMatmulPreferenceCreate");
    bind(preference_set_, "cublasLtMatmulPreferenceSetAttribute");
    bind(heuristic_, "cublasLtMatmulAlgoGetHeuristic");
    must(create_(&handle_), "create");
    if (cudaMalloc(&workspace_, kWorkspace) != cudaSuccess) abort();
  }
  bool present() const { return library_ != nullptr; }

  struct Product {
    void *desc, *weight, *x, *out;
    std::vector<Heuristic> algorithms;
  };

  Product plan(int rows, int n, int k, int out_type) const {
    Product p = {};
    must(desc_create_(&p.desc, 68 /* CUBLAS_COMPUTE_32F */, kFloat), "describe");
    const int transpose = 1;
    must(desc_set_(p.desc, 3 /* TRANSA */, &transpose, sizeof transpose), "transpose");
    must(layout_create_(&p.weight, kBf16, static_cast<uint64_t>(k), static_cast<uint64_t>(n), k), "layout of W");
    must(layout_create_(&p.x, kBf16, static_cast<uint64_t>(k), static_cast<uint64_t>(rows), k), "layout of x");
    must(layout_create_(&p.out, out_type, static_cast<uint64_t>(n), static_cast<uint64_t>(rows), n), "layout of out");
    void* preference = nullptr;
    must(preference_create_(&preference), "preference");
    const size_t bytes = kWorkspace;
    must(preference_set_(preference, 1 /* MAX_WORKSPACE_BYTES */, &bytes, sizeof bytes), "workspace");
    p.algorithms.resize(8);
    int found = 0;
    must(heuristic_(handle_, p.desc, p.weight, p.x, p.out, p.out, preference, 8, p.algorithms.data(), &found), "heuristic");
    p.algorithms.resize(static_cast<size_t>(found));
    return p;
  }

  int run(const Product& p, int algorithm, const void* x, const void* weight, void* out, bool add, cudaStream_t stream) const {
    const float alpha = 1, beta = add ? 1 : 0;
    return matmul_(handle_, p.desc, &alpha, weight, p.weight, x, p.x, &beta, out, p.out, out, p.out,
                   p.algorithms[static_cast<size_t>(algorithm)].algorithm, workspace_, kWorkspace, stream);
  }

 private:
  void *library_ = nullptr, *handle_ = nullptr, *workspace_ = nullptr;
  int (*create_)(void**) = nullptr;
  int (*matmul_)(void*, void*, const void*, const void*, void*, const void*, void*, const void*, const void*, void*, void*,
                 void*, const void*, void*, size_t, cudaStream_t) = nullptr;
  int (*desc_create_)(void**, int, int) = nullptr;
  int (*desc_set_)(void*, int, const void*, size_t) = nullptr;
  int (*layout_create_)(void**, int, uint64_t, uint64_t, int64_t) = nullptr;
  int (*preference_create_)(void**) = nullptr;
  int (*preference_set_)(void*, int, const void*, size_t) = nullptr;
  int (*heuristic_)(void*, void*, void*, void*, void*, void*, void*, int, Heuristic*, int*) = nullptr;

  template <class F>
  void bind(F& function, const char* name) {
    function = reinterpret_cast<F>(dlsym(library_, name));
    if (function == nullptr) must(1, name);
  }
  static void must(int status, const char* what) {
    if (status == 0) return;
    fprintf(stderr, "cuBLASLt %s: status %d\n", what, status);
    abort();
  }
};

}  // namespace quire::bench

#endif
