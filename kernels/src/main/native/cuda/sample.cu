#include "sample.h"

#include <algorithm>

namespace quire::cuda {
namespace {

int together(int n, int32_t kinds) { return (kinds & kSampleAdjusted) != 0 ? std::min(n, kSampleWave) : n; }

}  // namespace

int32_t sample_kinds(const QrSampleRow& row) {
  const bool drawn = row.target < 0;
  const bool adjusted = drawn && (row.bias_begin < row.bias_end || row.count_begin < row.count_end);
  return (adjusted ? kSampleAdjusted : 0) | (adjusted || (drawn && row.temperature > 0) ? kSampleDrawn : 0) |
         (row.logprobs >= 0 ? kSampleScored : 0);
}

SampleWorkspace sample_workspace(int rows, int vocab, int n) {
  const int64_t wave = std::min(n, kSampleWave), pieces = ceil_div(vocab, kSamplePiece);
  return {(rows + wave) * pieces + n, wave * vocab};
}

cudaError_t sample(const SampleArgs& args, cudaStream_t stream) {
  if (args.vocab < 1 || args.vocab > kMostVocab || args.stride < args.vocab) return cudaErrorInvalidValue;
  launch_choose(args, stream);
  const int wave = together(args.n, args.kinds);
  for (int first = 0; first < args.n && (args.kinds & kSampleDrawn) != 0; first += wave) {
    const int n = std::min(wave, args.n - first);
    if ((args.kinds & kSampleAdjusted) != 0) launch_adjust(args, first, n, stream);
    launch_draw(args, first, n, stream);
  }
  if ((args.kinds & kSampleScored) != 0) launch_score(args, stream);
  return launched();
}

}  // namespace quire::cuda
