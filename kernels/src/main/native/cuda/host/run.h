// Puts the operations of a list on the stream.
#ifndef QUIRE_CUDA_RUN_H
#define QUIRE_CUDA_RUN_H

#include "cublaslt.h"
#include "step.h"

namespace quire::cuda {

/// What kernels need beside their operands; as large as the largest step so far.
struct Workspace {
  DeviceBuffer slices;         // of products
  DeviceBuffer partial_out, partial_stats;  // of attention
  DeviceBuffer choices;        // of greedy
  DeviceBuffer tokens;         // [R] that greedy chose

  int reserve(const Program& program, const StepArrays& step, bool* grew);
};

/// `greedy`: the operation SAMPLE puts the largest logit's token of each row into workspace.tokens.
int enqueue(const Program& program, const StepArrays& step, const Workspace& workspace, CublasLt& lt, bool greedy,
            cudaStream_t stream);

}  // namespace quire::cuda

#endif
