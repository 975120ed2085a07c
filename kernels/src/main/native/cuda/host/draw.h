// Samples: the device chooses where all are plain greedy; else the logits come to the host, where the CPU library's
// sampler draws.
#ifndef QUIRE_CUDA_DRAW_H
#define QUIRE_CUDA_DRAW_H

#include "run.h"
#include "sample.h"
#include "threads.h"

namespace quire::cuda {

class Drawing {
 public:
  /// Whether each sample of the step is the token of the largest logit and nothing else is asked.
  static bool greedy(const Program& program, const QrStep& step);
  /// Starts the copies to the host, behind the list.
  int start(const Program& program, const QrStep& step, const Workspace& workspace, bool greedy, cudaStream_t stream);
  /// Writes the outputs of the step; the copies have landed.
  void finish(Pool& pool);

 private:
  const QrStep* step_ = nullptr;
  bool greedy_ = false;
  QrSample op_ = {};          // on the logits of the host
  std::vector<QrSampleRow> samples_;  // of the step, with rows of those
  std::vector<int32_t> used_;
  PinnedBuffer tokens_, logits_;

  int copy_logits(const QrSample& op, cudaStream_t stream);
};

}  // namespace quire::cuda

#endif
