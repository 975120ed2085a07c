#include "draw.h"

#include <algorithm>

#include "../../cpu/sample.h"

namespace quire::cuda {
namespace {

struct DrawJob {
  Pool& pool;
  const Kernels& kernels;
  const QrSample& op;
  const QrStep& step;
};

void draw_worker(void* context, Worker& worker) {
  const DrawJob& job = *static_cast<const DrawJob*>(context);
  job.pool.parallel(job.step.n_samples,
                    [&](int64_t s) { draw_sample(job.kernels, job.op, job.step, s, worker.scratch.data()); });
}

}  // namespace

bool Drawing::greedy(const Program& program, const QrStep& step) {
  const QrSample* op = program.sample();
  if (op == nullptr || op->vocab % 4 != 0) return false;
  return std::all_of(step.samples, step.samples + step.n_samples, [](const QrSampleRow& r) {
    return r.target < 0 && !(r.temperature > 0) && r.logprobs < 0 && r.bias_begin == r.bias_end && r.count_begin == r.count_end;
  });
}

/// The rows that are sampled, each once.
int Drawing::copy_logits(const QrSample& op, cudaStream_t stream) {
  samples_.assign(step_->samples, step_->samples + step_->n_samples);
  used_.clear();
  for (const QrSampleRow& sample : samples_) used_.push_back(sample.row);
  std::sort(used_.begin(), used_.end());
  used_.erase(std::unique(used_.begin(), used_.end()), used_.end());
  for (QrSampleRow& sample : samples_) {
    sample.row = static_cast<int32_t>(std::lower_bound(used_.begin(), used_.end(), sample.row) - used_.begin());
  }
  const uint64_t row_bytes = static_cast<uint64_t>(op.vocab) * sizeof(float);
  bool grew = false;
  const int status = logits_.reserve(used_.size() * row_bytes, &grew);
  if (status != QR_OK) return status;
  op_ = {reinterpret_cast<uint64_t>(logits_.at<float>()), op.vocab, 0};
  cudaError_t copied = cudaSuccess;
  for (size_t i = 0; i < used_.size() && copied == cudaSuccess; i++) {
    const uint64_t from = op.logits + static_cast<uint64_t>(used_[i]) * row_bytes;
    copied = cudaMemcpyAsync(logits_.at<float>(i * row_bytes), reinterpret_cast<const void*>(from), row_bytes,
                             cudaMemcpyDeviceToHost, stream);
  }
  return checked(copied, "copy of logits");
}

int Drawing::start(const Program& program, const QrStep& step, const Workspace& workspace, bool greedy, cudaStream_t stream) {
  step_ = program.sample() == nullptr || step.n_samples == 0 ? nullptr : &step;
  greedy_ = greedy;
  if (step_ == nullptr) return QR_OK;
  if (!greedy) return copy_logits(*program.sample(), stream);
  const uint64_t bytes = static_cast<uint64_t>(step.n_logits) * sizeof(int32_t);
  bool grew = false;
  const int status = tokens_.reserve(bytes, &grew);
  if (status != QR_OK) return status;
  return checked(cudaMemcpyAsync(tokens_.at<void>(), workspace.tokens.at<void>(), bytes, cudaMemcpyDeviceToHost, stream),
                 "copy of tokens");
}

void Drawing::finish(Pool& pool) {
  if (step_ == nullptr) return;
  if (greedy_) {
    for (int32_t s = 0; s < step_->n_samples; s++) {
      step_->out_token[s] = tokens_.at<int32_t>()[step_->samples[s].row];
      step_->out_logprob[s] = 0;
    }
    return;
  }
  QrStep step = *step_;
  step.samples = samples_.data();
  int level = 0;
  const DrawJob job = {pool, *kernels_for(QR_ISA_AUTO, &level), op_, step};
  for (int i = 0; i < pool.threads(); i++) {
    if (!pool.worker(i).scratch.reserve(sample_scratch_bytes(op_.vocab))) throw std::bad_alloc();
  }
  pool.run(draw_worker, const_cast<DrawJob*>(&job));
  pool.wait();
}

}  // namespace quire::cuda
