// Puts the operations of a list on the stream.
#ifndef QUIRE_CUDA_RUN_H
#define QUIRE_CUDA_RUN_H

#include "group.h"
#include "outcome.h"
#include "product.h"
#include "step.h"

namespace quire::cuda {

/// What kernels need beside their operands; as large as the largest step so far.
struct Workspace {
  DeviceBuffer slices, dense, codes;  // of products
  DeviceBuffer partial_out, partial_stats;  // of attention
  DeviceBuffer experts;                     // rows sorted by expert
  DeviceBuffer choices, adjusted;           // of sampling
  DeviceBuffer outcome;                     // what was sampled, as OutcomeLayout
  DeviceBuffer gathered;                    // [ranks, R, cols] of an ALL_GATHER

  int reserve(const Program& program, const StepArrays& step, int ranks, bool* grew);
};

/// Which rank of which group the device is; null: of none.
struct Rank {
  const RankGroup* group;
  int index;
};

/// The operation SAMPLE leaves its results in workspace.outcome. row_scaled: weights of 8-bit floats with a scale a row.
int enqueue(const Program& program, const StepArrays& step, const Workspace& workspace, CublasLt& lt,
            const std::set<uint64_t>& row_scaled, const Rank& rank, cudaStream_t stream);

}  // namespace quire::cuda

#endif
