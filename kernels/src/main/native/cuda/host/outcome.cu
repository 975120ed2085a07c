#include "outcome.h"

#include <algorithm>

namespace quire::cuda {

int Outcome::start(const QrStep& step, const StepArrays& arrays, const DeviceBuffer& results, cudaStream_t stream) {
  step_ = &step;
  samples_ = arrays.samples;
  const OutcomeLayout layout(samples_);
  if (samples_ == 0) return QR_OK;
  bool grew = false;
  const int status = host_.reserve(layout.bytes, &grew);
  if (status != QR_OK) return status;
  const uint64_t bytes = (arrays.sample_kinds & kSampleScored) != 0 ? layout.bytes : layout.top_token;
  return checked(cudaMemcpyAsync(host_.at<void>(), results.at<void>(), bytes, cudaMemcpyDeviceToHost, stream), "copy of samples");
}

void Outcome::finish(int64_t nanos) const {
  if (step_->out_nanos != nullptr) *step_->out_nanos = nanos;
  const OutcomeLayout layout(samples_);
  const int32_t* top_token = host_.at<int32_t>(layout.top_token);
  const float* top_logprob = host_.at<float>(layout.top_logprob);
  for (int32_t s = 0; s < samples_; s++) {
    step_->out_token[s] = host_.at<int32_t>(layout.token)[s];
    step_->out_logprob[s] = host_.at<float>(layout.logprob)[s];
    const int32_t at = s * QR_MAX_LOGPROBS, wanted = std::max(0, step_->samples[s].logprobs);
    std::copy_n(top_token + at, wanted, step_->out_top_token + at);
    std::copy_n(top_logprob + at, wanted, step_->out_top_logprob + at);
  }
}

}  // namespace quire::cuda
