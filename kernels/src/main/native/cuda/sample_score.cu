// Log-probabilities of raw logits: of the sample's token, and of the best. One block per sample.
#include "sample_row.cuh"

namespace quire::cuda {
namespace {

struct Shared {
  RowShared row;
  uint64_t best[QR_MAX_LOGPROBS];
};

__global__ void __launch_bounds__(kRowThreads) score_kernel(SampleArgs a) {
  start_after_previous();
  DYN_SMEM(Shared, shared);
  const int s = blockIdx.x, token = a.token[s];
  const QrSampleRow& row = a.samples[s];
  if (row.logprobs < 0) return;
  const int n = token < 0 ? 0 : min(row.logprobs, a.vocab);
  int32_t* top_token = a.top_token + s * QR_MAX_LOGPROBS;
  float* top_logprob = a.top_logprob + s * QR_MAX_LOGPROBS;
  for (int i = n + threadIdx.x; i < row.logprobs; i += kRowThreads) {
    top_token[i] = -1;
    top_logprob[i] = 0;
  }
  if (token < 0) return;
  const float* x = a.logits + static_cast<int64_t>(row.row) * a.stride;
  const Weigh weigh = {logit_of(best_of_sample(a, s)), 1, 0};
  uint64_t sum = 0;
  for_row(x, 0, a.vocab, threadIdx.x, kRowThreads, [&](int, float logit) { sum += weigh(logit); });
  sum = block_sum(&shared->row, sum);
  const double normaliser = weigh.largest + log(static_cast<double>(sum) / static_cast<double>(1ull << kWeightBits));
  if (threadIdx.x == 0) a.logprob[s] = static_cast<float>(x[token] - normaliser);
  if (n == 0) return;
  collect(&shared->row, x, a.vocab, n, shared->best);
  if (static_cast<int>(threadIdx.x) >= n) return;
  const uint64_t mine = shared->best[threadIdx.x];
  int rank = 0;
  for (int i = 0; i < n; i++) rank += shared->best[i] > mine ? 1 : 0;
  top_token[rank] = token_of(mine);
  top_logprob[rank] = static_cast<float>(logit_of(mine) - normaliser);
}

}  // namespace

void launch_score(const SampleArgs& args, cudaStream_t stream) {
  LAUNCH(score_kernel, args.n, kRowThreads, sizeof(Shared), stream, args);
}

}  // namespace quire::cuda
