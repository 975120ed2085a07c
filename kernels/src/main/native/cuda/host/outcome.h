// What was sampled in a step, on its way to the host with one copy.
#ifndef QUIRE_CUDA_OUTCOME_H
#define QUIRE_CUDA_OUTCOME_H

#include "memory.h"
#include "step.h"

namespace quire::cuda {

/// Offsets in bytes of the results of n samples. Those that every sample has come first.
struct OutcomeLayout {
  uint64_t token, logprob, top_token, top_logprob, bytes;

  explicit OutcomeLayout(int32_t n)
      : token(0),
        logprob(4 * static_cast<uint64_t>(n)),
        top_token(2 * logprob),
        top_logprob(top_token + QR_MAX_LOGPROBS * logprob),
        bytes(top_logprob + QR_MAX_LOGPROBS * logprob) {}
};

class Outcome {
 public:
  /// Starts the copy to the host, behind the list.
  int start(const QrStep& step, const StepArrays& arrays, const DeviceBuffer& results, cudaStream_t stream);
  /// Writes the outputs of the step; the copy has landed.
  void finish(int64_t nanos) const;
  /// Tokens of the last list's samples, which the device reads too once the copy has landed.
  const int32_t* tokens() const { return host_.at<int32_t>(); }
  int32_t samples() const { return samples_; }

 private:
  const QrStep* step_ = nullptr;
  int32_t samples_ = 0;
  PinnedBuffer host_;
};

}  // namespace quire::cuda

#endif
