// Sampling: greedy choice, its ties and its refusals.
#include <algorithm>

#include "../../cuda/sample.h"
#include "harness.h"

namespace cuda_cases {
namespace {

using namespace quire::cuda;

void greedy_cases() {
  const int rows = 6, vocab = 16397, stride = 16400;  // the head is padded, the choice is not
  Random random(5);
  std::vector<float> logits(static_cast<size_t>(rows * stride), 1e6f);
  for (int i = 0; i < rows * stride; i++) {
    float& v = logits[static_cast<size_t>(i)];
    if (i % stride < vocab) v = -5 + random.normal();
  }
  auto at = [&](int row, int token) -> float& { return logits[static_cast<size_t>(row * stride + token)]; };
  at(0, 16396) = 9;
  at(1, 8192) = at(1, 8191) = at(1, 12000) = 3;
  at(2, 5) = NAN;
  at(3, 7) = INFINITY;
  for (int i = 0; i < vocab; i++) at(4, i) = -INFINITY;
  for (int i = 0; i < vocab; i++) at(5, i) = i == 77 ? -100.0f : -INFINITY;
  Device<float> d_logits(logits);
  Device<int32_t> token(rows);
  Device<uint64_t> workspace(static_cast<size_t>(greedy_workspace(rows, vocab)));
  require(greedy({d_logits.data(), token.data(), workspace.data(), rows, vocab, stride}, nullptr), "greedy");
  require(greedy({d_logits.data(), token.data(), workspace.data(), 0, vocab, stride}, nullptr), "greedy of no rows");
  const std::vector<int32_t> got = token.host(), wanted = {16396, 8191, -1, -1, -1, 77};
  for (size_t r = 0; r < got.size(); r++) check("greedy row " + std::to_string(r), got[r] == wanted[r] ? 0 : 1, 0);
  digest(got);
}

}  // namespace

void sample_cases() { greedy_cases(); }

}  // namespace cuda_cases
