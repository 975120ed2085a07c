#include "cublaslt.h"

#include <stdlib.h>

#include "host/bind.h"

#ifdef QR_SHIM
#include "shim/runtime_shim.h"
#endif

namespace quire::cuda {
namespace {

constexpr size_t kWorkspace = 32 << 20;
constexpr int kMostAlgorithms = 8;
/// What the heuristics take for granted.
constexpr uint64_t kAlign = 256;
/// Of library_types.h, cublas_api.h and cublasLt.h.
enum : int { kFloat = 0, kBf16 = 14, kE4m3 = 28, kComputeFloat = 68, kMaxWorkspace = 1 };
enum : int { kTransposeA = 3, kScaleA = 17, kScaleB = 18, kScaleModeA = 31, kScaleModeB = 32, kOuterVector = 3 };
/// Of k and n in E4M3.
constexpr int kFloat8Multiple = 16;

bool aligned(const void* address) { return reinterpret_cast<uint64_t>(address) % kAlign == 0; }

/// Without QR_CUBLASLT the shim has none: a library for GPUs cannot work on its memory.
const char* library_path() {
  const char* named = getenv("QR_CUBLASLT");
#ifdef QR_SHIM
  return named;
#else
  return named != nullptr ? named : "libcublasLt.so.13";
#endif
}

/// In the shim, what stands on the stream is done before a library that knows nothing of it goes on.
void before_library() {
#ifdef QR_SHIM
  shim::settle();
#endif
}

}  // namespace

bool CublasLt::bind(void* library) {
  return bind_function(library, create_, "cublasLtCreate") && bind_function(library, matmul_, "cublasLtMatmul") &&
         bind_function(library, desc_create_, "cublasLtMatmulDescCreate") &&
         bind_function(library, desc_set_, "cublasLtMatmulDescSetAttribute") &&
         bind_function(library, layout_create_, "cublasLtMatrixLayoutCreate") &&
         bind_function(library, preference_create_, "cublasLtMatmulPreferenceCreate") &&
         bind_function(library, preference_set_, "cublasLtMatmulPreferenceSetAttribute") &&
         bind_function(library, preference_destroy_, "cublasLtMatmulPreferenceDestroy") &&
         bind_function(library, heuristic_, "cublasLtMatmulAlgoGetHeuristic");
}

CublasLt::CublasLt() {
  const char* path = library_path();
  void* library = path == nullptr ? nullptr : dlopen(path, RTLD_NOW | RTLD_GLOBAL);
  if (library == nullptr || !bind(library) || create_(&handle_) != 0) {
    handle_ = nullptr;
  } else if (cudaMalloc(&workspace_, kWorkspace) != cudaSuccess) {
    cudaGetLastError();
    handle_ = workspace_ = nullptr;
  }
}

CublasLt::~CublasLt() {
  if (workspace_ != nullptr) cudaFree(workspace_);
}

CublasLt::Product CublasLt::plan(const Shape& s) const {
  Product p;
  const int transpose = 1, in_type = s.float8 ? kE4m3 : kBf16, out_type = s.out_float ? kFloat : kBf16, mode = kOuterVector;
  const uint64_t rows = static_cast<uint64_t>(s.rows), n = static_cast<uint64_t>(s.n), k = static_cast<uint64_t>(s.k);
  void* preference = nullptr;
  int found = 0;
  const bool described = desc_create_(&p.desc, kComputeFloat, kFloat) == 0 &&
                         desc_set_(p.desc, kTransposeA, &transpose, sizeof transpose) == 0 &&
                         (!s.float8 || (desc_set_(p.desc, kScaleModeA, &mode, sizeof mode) == 0 &&
                                        desc_set_(p.desc, kScaleModeB, &mode, sizeof mode) == 0 &&
                                        set_scales(p, static_cast<const float*>(workspace_), static_cast<const float*>(workspace_)) == 0)) &&
                         layout_create_(&p.weight, in_type, k, n, s.k) == 0 && layout_create_(&p.x, in_type, k, rows, s.k) == 0 &&
                         layout_create_(&p.out, out_type, n, rows, s.stride) == 0 && preference_create_(&preference) == 0 &&
                         preference_set_(preference, kMaxWorkspace, &kWorkspace, sizeof kWorkspace) == 0;
  if (described) {
    p.algorithms.resize(kMostAlgorithms);
    if (heuristic_(handle_, p.desc, p.weight, p.x, p.out, p.out, preference, kMostAlgorithms, p.algorithms.data(), &found) != 0) found = 0;
    p.algorithms.resize(static_cast<size_t>(found));
  }
  if (preference != nullptr) preference_destroy_(preference);
  return p;
}

int CublasLt::run(const Product& p, int algorithm, const void* x, const void* weight, void* out, bool add, cudaStream_t stream) const {
  const float alpha = 1, beta = add ? 1 : 0;
  before_library();
  return matmul_(handle_, p.desc, &alpha, weight, p.weight, x, p.x, &beta, out, p.out, out, p.out,
                 p.algorithms[static_cast<size_t>(algorithm)].algorithm, workspace_, kWorkspace, stream);
}

int CublasLt::set_scales(const Product& p, const float* weight, const float* x) const {
  const int status = desc_set_(p.desc, kScaleA, &weight, sizeof weight);
  return status != 0 ? status : desc_set_(p.desc, kScaleB, &x, sizeof x);
}

int CublasLt::run(const Product& p, int algorithm, const Float8Operands& o, void* out, bool add, cudaStream_t stream) const {
  const int status = set_scales(p, o.weight_scale, o.x_scale);
  if (status != 0) return status;
  return run(p, algorithm, o.x, o.weight, out, add, stream);
}

const CublasLt::Product* CublasLt::planned(const Shape& shape) {
  auto known = known_.find(shape);
  if (known == known_.end()) known = known_.emplace(shape, plan(shape)).first;
  return known->second.algorithms.empty() ? nullptr : &known->second;
}

bool CublasLt::multiply(const GemmArgs& g, cudaStream_t stream) {
  const bool fits = g.bias == nullptr && g.k % kVector == 0 && g.n % kVector == 0 && g.stride % kVector == 0 && aligned(g.x) &&
                    aligned(g.weight) && aligned(g.out);
  if (!present() || !fits) return false;
  const Product* product = planned({g.rows, g.n, g.k, g.stride, g.out_float != 0});
  return product != nullptr && run(*product, 0, g.x, g.weight, g.out, g.add != 0, stream) == 0;
}

bool CublasLt::multiply(const GemmArgs& g, const Float8Operands& o, cudaStream_t stream) {
  const bool fits = g.bias == nullptr && g.k % kFloat8Multiple == 0 && g.n % kFloat8Multiple == 0 && g.stride % kVector == 0 &&
                    aligned(o.x) && aligned(o.weight) && aligned(g.out);
  if (!present() || !fits) return false;
  const Product* product = planned({g.rows, g.n, g.k, g.stride, g.out_float != 0, true});
  return product != nullptr && run(*product, 0, o, g.out, g.add != 0, stream) == 0;
}

}  // namespace quire::cuda
