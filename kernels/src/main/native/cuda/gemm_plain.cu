// Matrix product, tier 0: one thread per output.
#include "gemm_out.cuh"

namespace quire::cuda {
namespace {

constexpr int kThreads = 128;

__global__ void gemm_plain_kernel(GemmArgs g) {
  start_after_previous();
  const int column = blockIdx.x * kThreads + threadIdx.x, row = blockIdx.y;
  if (column >= g.n) return;
  const bf16* x = g.x + static_cast<int64_t>(row) * g.k;
  const bf16* w = static_cast<const bf16*>(g.weight) + static_cast<int64_t>(column) * g.k;
  float sum = 0;
  for (int k = 0; k < g.k; k++) sum += to_float(x[k]) * to_float(w[k]);
  put_one(g, row, column, sum);
}

}  // namespace

cudaError_t gemm_plain(const GemmArgs& args, cudaStream_t stream) {
  LAUNCH(gemm_plain_kernel, dim3(ceil_div(args.n, kThreads), args.rows), kThreads, 0, stream, args);
  return launched();
}

}  // namespace quire::cuda
