// The next token of each row of logits.
#ifndef QUIRE_CUDA_SAMPLE_H
#define QUIRE_CUDA_SAMPLE_H

#include "device.cuh"

namespace quire::cuda {

/// token[r] = the lowest index of the largest of logits[r, :]; -1 where a logit is NaN or +infinite, or none is finite.
struct GreedyArgs {
  const float* logits;  // [rows, stride]
  int32_t* token;       // [rows]
  uint64_t* workspace;  // greedy_workspace(rows, vocab)
  int32_t rows, vocab, stride;  // stride % 4 == 0, at least vocab
};
cudaError_t greedy(const GreedyArgs& args, cudaStream_t stream);
int64_t greedy_workspace(int rows, int vocab);

}  // namespace quire::cuda

#endif
