// Puts the operations of a list on the stream.
#ifndef QUIRE_CUDA_RUN_H
#define QUIRE_CUDA_RUN_H

#include "cublaslt.h"
#include "group.h"
#include "step.h"

namespace quire::cuda {

/// What kernels need beside their operands; as large as the largest step so far.
struct Workspace {
  DeviceBuffer slices;         // of products
  DeviceBuffer partial_out, partial_stats;  // of attention
  DeviceBuffer choices;        // of greedy
  DeviceBuffer tokens;         // [R] that greedy chose
  DeviceBuffer gathered;       // [ranks, R, cols] of an ALL_GATHER

  int reserve(const Program& program, const StepArrays& step, int ranks, bool* grew);
};

/// Which rank of which group the device is; null: of none.
struct Rank {
  const RankGroup* group;
  int index;
};

/// `greedy`: the operation SAMPLE puts the largest logit's token of each row into workspace.tokens.
int enqueue(const Program& program, const StepArrays& step, const Workspace& workspace, CublasLt& lt, const Rank& rank, bool greedy,
            cudaStream_t stream);

}  // namespace quire::cuda

#endif
