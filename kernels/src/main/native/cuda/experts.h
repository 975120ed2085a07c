// A mixture of experts: each row chooses, rows are sorted by expert, products run over tiles of rows of one expert.
#ifndef QUIRE_CUDA_EXPERTS_H
#define QUIRE_CUDA_EXPERTS_H

#include "gemm.h"

namespace quire::cuda {

/// The matrices of all experts, one behind the other.
struct ExpertWeights {
  const void* data;
  WeightFormat format;
  int64_t expert_bytes;
};

/// sum[r, :] += over the chosen experts e, best first, weight * down_e (act(gate_e x[r, :]) * up_e x[r, :]).
struct ExpertsArgs {
  bf16* sum;            // [rows, cols]
  const bf16* x;        // [rows, cols]
  const float* logits;  // [rows, experts]
  ExpertWeights gate, up;  // [experts, inner, cols]
  ExpertWeights down;      // [experts, cols, inner]
  int32_t rows, cols, inner;  // the widths multiples of 64
  int32_t experts, chosen;
  int32_t normalised;   // 1: weights of the chosen add up to 1; 0: softmax over all experts
  int32_t gelu;         // as GatedArgs
  int32_t add;          // 1: to what sum holds
};
/// workspace: experts_workspace bytes, aligned to 16. Its size and every grid depend on the shape alone, not on the logits.
cudaError_t experts(const ExpertsArgs& args, uint8_t* workspace, cudaStream_t stream);
int64_t experts_workspace(const ExpertsArgs& args);

}  // namespace quire::cuda

#endif
