// The gate of the feed-forward layer, 8 columns a thread.
#include "rows.h"

namespace quire::cuda {
namespace {

constexpr int kThreads = 256;

template <bool kGelu>
__global__ void gated_kernel(GatedArgs a) {
  start_after_previous();
  const int vectors = a.inner / kVector;
  const int64_t total = static_cast<int64_t>(a.tokens) * vectors;
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * kThreads + threadIdx.x; i < total;
       i += static_cast<int64_t>(gridDim.x) * kThreads) {
    const int64_t row = i / vectors, column = i % vectors * kVector;
    float gate[kVector], up[kVector];
    load8(gate, a.gate_up + row * 2 * a.inner + column);
    load8(up, a.gate_up + row * 2 * a.inner + a.inner + column);
#pragma unroll
    for (int e = 0; e < kVector; e++) {
      const float x = gate[e];
      const float act = kGelu ? 0.5f * x * (1 + tanhf(0.7978845608f * (x + 0.044715f * x * x * x)))
                              : x / (1 + exp2_approx(-1.44269504f * x));
      up[e] *= act;
    }
    store8(a.out + row * a.inner + column, up);
  }
}

}  // namespace

cudaError_t gated(const GatedArgs& args, cudaStream_t stream) {
  if (args.inner % kVector != 0) return cudaErrorInvalidValue;
  const int64_t blocks = (static_cast<int64_t>(args.tokens) * (args.inner / kVector) + kThreads - 1) / kThreads;
  const int grid = static_cast<int>(min(blocks, static_cast<int64_t>(resident_blocks(32))));
  auto kernel = args.gelu != 0 ? gated_kernel<true> : gated_kernel<false>;
  LAUNCH(kernel, grid, kThreads, 0, stream, args);
  return launched();
}

}  // namespace quire::cuda
