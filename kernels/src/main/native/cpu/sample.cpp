// QR_OP_SAMPLE: one sample from one row of logits. The passes over the vocabulary are kernels; what is left here works
// on block maxima and on few candidates.
#include <float.h>
#include <math.h>
#include <string.h>

#include <algorithm>
#include <functional>

#include "philox.h"
#include "sample.h"

namespace quire {
namespace {

/// Layers of logits in which top_p looks before it takes all the rest; one holds weights of a factor of e.
constexpr int kLayers = 32;

struct Candidate {
  float logit, weight;
  int32_t token;
};

bool better(const Candidate& a, const Candidate& b) {
  return a.logit != b.logit ? a.logit > b.logit : a.token < b.token;
}

class Sampler {
 public:
  Sampler(const Kernels& kernels, const QrSample& op, const QrStep& step, int64_t sample,
          uint8_t* scratch)
      : kernels_(kernels), step_(step), row_(step.samples[sample]), sample_(sample), n_(op.vocab) {
    raw_ = reinterpret_cast<const float*>(op.logits) + row_.row * n_;
    const int64_t blocks = (n_ + kScanBlock - 1) / kScanBlock;
    float* next = reinterpret_cast<float*>(scratch);
    auto take = [&next](int64_t floats) {
      float* taken = next;
      next += round_up(floats, 16);
      return taken;
    };
    adjusted_ = take(n_);
    weights_ = take(n_);
    raw_max_ = take(blocks);
    adjusted_max_ = take(blocks);
    order_ = take(blocks);
    sums_ = take((n_ + kSumBlock - 1) / kSumBlock);
    candidates_ = reinterpret_cast<Candidate*>(next);
  }

  void run() {
    const Scan scan = kernels_.scan(raw_, n_, raw_max_);
    int32_t token = -1;
    if (!scan.bad && scan.largest > -HUGE_VALF) {
      token = row_.target >= 0 ? row_.target : choose(scan);
      if (token >= n_) token = -1;
    }
    step_.out_token[sample_] = token;
    step_.out_logprob[sample_] = 0.0f;
    for (int i = 0; i < row_.logprobs; i++) put_best(i, -1, 0.0f);
    if (token >= 0 && row_.logprobs >= 0) log_probabilities(token, scan.largest);
  }

 private:
  const Kernels& kernels_;
  const QrStep& step_;
  const QrSampleRow& row_;
  const int64_t sample_, n_;
  const float* raw_;
  float *adjusted_, *weights_, *raw_max_, *adjusted_max_, *order_, *sums_;
  Candidate* candidates_;

  void put_best(int i, int32_t token, float logprob) {
    step_.out_top_token[sample_ * QR_MAX_LOGPROBS + i] = token;
    step_.out_top_logprob[sample_ * QR_MAX_LOGPROBS + i] = logprob;
  }

  int32_t choose(const Scan& raw) {
    const bool plain = row_.bias_begin >= row_.bias_end && row_.count_begin >= row_.count_end;
    Scan scan = raw;
    if (!plain) {
      adjust();
      scan = kernels_.scan(adjusted_, n_, adjusted_max_);
      if (scan.bad || !(scan.largest > -HUGE_VALF)) return -1;
    }
    const float* logits = plain ? raw_ : adjusted_;
    const float* maxima = plain ? raw_max_ : adjusted_max_;
    if (!(row_.temperature > 0.0f)) return arg_max(logits, maxima, scan.largest);
    kernels_.weigh(logits, n_, scan.largest, row_.temperature, weights_, sums_);
    const double uniform = philox_uniform(row_.seed, row_.position, row_.stream);
    const bool all_k = row_.top_k <= 0 || row_.top_k >= n_;
    if (all_k && !(row_.min_p > 0.0f) && !(row_.top_p < 1.0f)) return draw_any(uniform);
    const int64_t count = all_k && row_.top_p < 1.0f
                              ? top_p_of_all(logits, maxima, scan.largest)
                              : filtered(logits, maxima, all_k ? n_ : row_.top_k);
    return draw_candidate(count, uniform);
  }

  void adjust() {
    memcpy(adjusted_, raw_, static_cast<size_t>(n_) * sizeof(float));
    for (int32_t i = row_.bias_begin; i < row_.bias_end; i++) {
      const int32_t token = step_.bias_token[i];
      if (token >= 0 && token < n_) adjusted_[token] += step_.bias_value[i];
    }
    for (int32_t i = row_.count_begin; i < row_.count_end; i++) {
      const int32_t token = step_.count_token[i];
      if (token < 0 || token >= n_ || !(adjusted_[token] > -HUGE_VALF)) continue;
      float logit = adjusted_[token];
      logit = logit > 0.0f ? logit / row_.repetition : logit * row_.repetition;
      if (step_.count_output[i] > 0) {
        logit -= row_.presence;
        logit -= row_.frequency * static_cast<float>(step_.count_output[i]);
      }
      adjusted_[token] = logit;
    }
  }

  /// The lowest token whose logit is the largest.
  int32_t arg_max(const float* logits, const float* maxima, float largest) const {
    int64_t block = 0;
    while (maxima[block] != largest) block++;
    int64_t token = block * kScanBlock;
    while (logits[token] != largest) token++;
    return static_cast<int32_t>(token);
  }

  /// Inverts the cumulative sum of all weights.
  int32_t draw_any(double uniform) const {
    const int64_t blocks = (n_ + kSumBlock - 1) / kSumBlock;
    double total = 0, before = 0;
    for (int64_t b = 0; b < blocks; b++) total += sums_[b];
    const double point = uniform * total;
    int64_t last = 0;
    for (int64_t b = 0; b < blocks; b++) {
      if (before + sums_[b] <= point) {
        before += sums_[b];
        if (sums_[b] > 0.0f) last = b;
        continue;
      }
      last = b;
      break;
    }
    const int64_t end = std::min(n_, (last + 1) * kSumBlock);
    int64_t token = last * kSumBlock;
    for (int64_t i = token; i < end; i++) {
      if (weights_[i] <= 0.0f) continue;
      token = i;
      before += weights_[i];
      if (before > point) break;
    }
    return static_cast<int32_t>(token);
  }

  /// No value below it is among the k largest.
  float bound_of_best(const float* maxima, int64_t k) {
    const int64_t blocks = (n_ + kScanBlock - 1) / kScanBlock;
    if (k > blocks) return -HUGE_VALF;
    memcpy(order_, maxima, static_cast<size_t>(blocks) * sizeof(float));
    std::nth_element(order_, order_ + k - 1, order_ + blocks, std::greater<float>());
    return order_[k - 1];
  }

  /// Puts what has a logit in [from, below) behind the first `count` candidates, in order of token; the new count.
  int64_t collect(const float* logits, const float* maxima, float from, float below,
                  const float* weights, float least_weight, int64_t count) {
    for (int64_t begin = 0; begin < n_; begin += kScanBlock) {
      if (!(maxima[begin / kScanBlock] >= from)) continue;
      const int64_t end = std::min(n_, begin + kScanBlock);
      for (int64_t i = begin; i < end; i++) {
        const float weight = weights == nullptr ? 1.0f : weights[i];
        if (weight > 0.0f && weight >= least_weight && logits[i] >= from && logits[i] < below) {
          candidates_[count++] = {logits[i], weight, static_cast<int32_t>(i)};
        }
      }
    }
    return count;
  }

  /// What min_p leaves, of it the k best, and of them what top_p leaves.
  int64_t filtered(const float* logits, const float* maxima, int64_t k) {
    const float bound = k < n_ ? bound_of_best(maxima, k) : -HUGE_VALF;
    int64_t count =
        collect(logits, maxima, bound, HUGE_VALF, weights_, std::min(row_.min_p, 1.0f), 0);
    if (count > k) {
      std::nth_element(candidates_, candidates_ + k, candidates_ + count, better);
      count = k;
    }
    double reached = 0;
    return row_.top_p < 1.0f ? keep_best(0, count, goal(sum(count)), &reached) : count;
  }

  /// What min_p and top_p leave of all: layer by layer from the largest logit down, so that what lies below the last
  /// layer needed is never sorted.
  int64_t top_p_of_all(const float* logits, const float* maxima, float largest) {
    const float least_weight = std::min(row_.min_p, 1.0f);
    double total = 0, reached = 0;
    for (int64_t i = 0; i < n_; i++) total += weights_[i] >= least_weight ? weights_[i] : 0.0f;
    const double wanted = goal(total);
    int64_t kept = 0;
    float below = HUGE_VALF;
    for (int layer = 1; layer <= kLayers && reached < wanted; layer++) {
      const float from =
          layer < kLayers ? largest - row_.temperature * static_cast<float>(layer) : -HUGE_VALF;
      const int64_t count = collect(logits, maxima, from, below, weights_, least_weight, kept);
      kept = keep_best(kept, count, wanted, &reached);
      below = from;
    }
    return kept;
  }

  /// The sum that top_p asks for; never so small that nothing would reach it.
  double goal(double total) const { return std::max(row_.top_p * total, DBL_MIN); }

  /// Keeps the fewest best of candidates [kept, count) that bring the sum to the goal.
  int64_t keep_best(int64_t kept, int64_t count, double goal, double* reached) {
    std::sort(candidates_ + kept, candidates_ + count, better);
    while (kept < count && *reached < goal) *reached += candidates_[kept++].weight;
    return kept;
  }

  int32_t draw_candidate(int64_t count, double uniform) {
    std::sort(candidates_, candidates_ + count,
              [](const Candidate& a, const Candidate& b) { return a.token < b.token; });
    const double point = uniform * sum(count);
    double before = 0;
    for (int64_t i = 0; i < count; i++) {
      before += candidates_[i].weight;
      if (before > point) return candidates_[i].token;
    }
    return candidates_[count - 1].token;
  }

  double sum(int64_t count) const {
    double total = 0;
    for (int64_t i = 0; i < count; i++) total += candidates_[i].weight;
    return total;
  }

  void log_probabilities(int32_t token, float largest) {
    kernels_.weigh(raw_, n_, largest, 1.0f, weights_, sums_);
    double total = 0;
    for (int64_t b = 0; b < (n_ + kSumBlock - 1) / kSumBlock; b++) total += sums_[b];
    const double normaliser = largest + log(total);
    step_.out_logprob[sample_] = static_cast<float>(raw_[token] - normaliser);
    const int64_t wanted = std::min<int64_t>(row_.logprobs, n_);
    if (wanted <= 0) return;
    const int64_t count =
        collect(raw_, raw_max_, bound_of_best(raw_max_, wanted), HUGE_VALF, nullptr, 0.0f, 0);
    std::partial_sort(candidates_, candidates_ + wanted, candidates_ + count, better);
    for (int i = 0; i < wanted; i++) {
      put_best(i, candidates_[i].token, static_cast<float>(candidates_[i].logit - normaliser));
    }
  }
};

}  // namespace

int64_t sample_scratch_bytes(int64_t vocab) {
  const int64_t blocks = (vocab + kScanBlock - 1) / kScanBlock;
  return (2 * round_up(vocab, 16) + 4 * round_up(blocks, 16) + 64) * 4 +
         vocab * static_cast<int64_t>(sizeof(Candidate));
}

void draw_sample(const Kernels& kernels, const QrSample& op, const QrStep& step, int64_t sample,
                 uint8_t* scratch) {
  Sampler(kernels, op, step, sample, scratch).run();
}

}  // namespace quire
