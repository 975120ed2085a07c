// Samples against their definition.
#include "../../cuda/sample.h"
#include "../sample_reference.h"
#include "harness.h"

namespace cuda_cases {
namespace {

using namespace quire::cuda;
using conformance::best_first;
using conformance::wrong_by;

QrSampleRow greedy_row(int row) {
  QrSampleRow s = {};
  s.row = row;
  s.target = s.logprobs = -1;
  s.top_p = s.repetition = 1;
  return s;
}
QrSampleRow drawn_row(int row, float temperature, uint32_t position) {
  QrSampleRow s = greedy_row(row);
  s.temperature = temperature;
  s.seed = 0x1234567890ull;
  s.position = position;
  return s;
}

struct Scene {
  int vocab, stride;
  std::vector<float> logits;  // [rows, stride]
  std::vector<QrSampleRow> samples;
  std::vector<SampleEntry> entries;

  Scene(int rows, int vocab, int stride) : vocab(vocab), stride(stride), logits(static_cast<size_t>(rows * stride), 1e6f) {}
  int rows() const { return static_cast<int>(logits.size()) / stride; }
  float& at(int row, int token) { return logits[static_cast<size_t>(row * stride + token)]; }
  void fill(Random& random, float scale) {
    for (int r = 0; r < rows(); r++) {
      for (int i = 0; i < vocab; i++) at(r, i) = scale * random.normal();
    }
  }
  /// A bias or a count that the last sample has.
  void bias(int token, float value) {
    QrSampleRow& s = samples.back();
    if (s.bias_begin == s.bias_end) s.bias_begin = s.bias_end = static_cast<int32_t>(entries.size());
    entries.push_back({token, 0});
    memcpy(&entries.back().value, &value, 4);
    s.bias_end++;
  }
  void count(int token, uint32_t times) {
    QrSampleRow& s = samples.back();
    if (s.count_begin == s.count_end) s.count_begin = s.count_end = static_cast<int32_t>(entries.size());
    entries.push_back({token, times});
    s.count_end++;
  }
};

struct Results {
  std::vector<int32_t> token, top_token;
  std::vector<float> logprob, top_logprob;
};

Results run(Scene& scene) {
  const int n = static_cast<int>(scene.samples.size());
  int32_t kinds = 0;
  for (const QrSampleRow& s : scene.samples) kinds |= sample_kinds(s);
  const size_t top = static_cast<size_t>(n * QR_MAX_LOGPROBS);
  const SampleWorkspace work = sample_workspace(scene.rows(), scene.vocab, n);
  Device<float> logits(scene.logits), logprob(static_cast<size_t>(n)), top_logprob(top), adjusted(static_cast<size_t>(work.adjusted));
  Device<QrSampleRow> samples(scene.samples);
  Device<SampleEntry> entries(scene.entries);
  Device<int32_t> token(static_cast<size_t>(n)), top_token(top);
  Device<uint64_t> choices(static_cast<size_t>(work.choices));
  require(sample({logits.data(), samples.data(), entries.data(), token.data(), logprob.data(), top_token.data(), top_logprob.data(),
                  choices.data(), adjusted.data(), scene.rows(), scene.vocab, scene.stride, n, kinds},
                 nullptr),
          "sample");
  Results got = {token.host(), top_token.host(), logprob.host(), top_logprob.host()};
  digest(got.token);
  digest(got.logprob);
  check("logits are not changed", memcmp(logits.host().data(), scene.logits.data(), scene.logits.size() * 4) == 0 ? 0 : 1, 0);
  return got;
}

/// Logits after biases and penalties, in float as they are defined.
std::vector<float> adjusted(Scene& scene, const QrSampleRow& s) {
  std::vector<float> x(&scene.at(s.row, 0), &scene.at(s.row, 0) + scene.vocab);
  for (int32_t e = s.bias_begin; e < s.bias_end; e++) {
    float value;
    memcpy(&value, &scene.entries[static_cast<size_t>(e)].value, 4);
    x[static_cast<size_t>(scene.entries[static_cast<size_t>(e)].token)] += value;
  }
  for (int32_t e = s.count_begin; e < s.count_end; e++) {
    const SampleEntry entry = scene.entries[static_cast<size_t>(e)];
    float& v = x[static_cast<size_t>(entry.token)];
    if (v == -INFINITY) continue;
    v = v > 0 ? v / s.repetition : v * s.repetition;
    if (entry.value > 0) v = v - s.presence - s.frequency * static_cast<float>(entry.value);
  }
  return x;
}

void check_draws(const std::string& name, Scene& scene) {
  const Results got = run(scene);
  double worst = 0;
  for (size_t i = 0; i < scene.samples.size(); i++) worst = std::max(worst, wrong_by(adjusted(scene, scene.samples[i]), scene.samples[i], got.token[i]));
  check(name, worst, 1e-6);
}

/// Samples of every setting of the filters, on random rows.
void filters() {
  const struct {
    int vocab, stride, times;
  } sizes[] = {{1, 1, 2}, {2, 3, 8}, {255, 255, 8}, {256, 256, 8}, {257, 260, 8}, {4099, 4100, 4}, {151936, 151936, 1}};
  Random random(31);
  for (const auto& size : sizes) {
    Scene scene(2, size.vocab, size.stride);
    scene.fill(random, 3);
    uint32_t position = 0;
    for (int i = 0; i < size.times; i++) {
      for (int k : {0, 1, 20, 1500, size.vocab, size.vocab + 5}) {
        for (float p : {1.0f, 0.9f, 0.3f, 1e-6f}) {
          QrSampleRow s = drawn_row(static_cast<int>(position % 2), 0.7f + 0.1f * static_cast<float>(i), position);
          s.top_k = k;
          s.top_p = p;
          s.min_p = position % 3 == 0 ? 0.02f : 0;
          s.stream = position++ % 5;
          scene.samples.push_back(s);
        }
      }
    }
    QrSampleRow only = drawn_row(1, 1, 9);
    only.min_p = 1;
    scene.samples.push_back(only);
    check_draws("draws of " + std::to_string(size.vocab), scene);
  }
}

void ties() {
  Random random(32);
  Scene scene(3, 4099, 4099);
  for (int i = 0; i < scene.vocab; i++) {
    scene.at(0, i) = -0.0f;  // all equal, the zeros too
    if (i % 2 == 0) scene.at(0, i) = 0.0f;
    scene.at(1, i) = static_cast<float>(random.below(4));
    scene.at(2, i) = i == 77 ? -100.0f : -INFINITY;
  }
  for (uint32_t i = 0; i < 40; i++) {
    QrSampleRow s = drawn_row(static_cast<int>(i % 2), 1, i);
    s.top_k = i % 3 == 0 ? 0 : 1 + static_cast<int>(37 * i);
    s.top_p = i % 4 == 0 ? 1 : 0.5025f;
    scene.samples.push_back(s);
  }
  scene.samples.push_back(drawn_row(2, 1, 3));
  scene.samples.back().top_k = 20;
  scene.samples.push_back(drawn_row(2, 1, 4));
  scene.samples.back().top_p = 0.5f;
  check_draws("ties", scene);
}

/// Samples that share rows: biases and penalties are of one alone.
void adjustments() {
  Random random(33);
  Scene scene(2, 8195, 8200);
  scene.fill(random, 2);
  for (int i = 0; i < scene.vocab; i++) scene.at(1, i) -= 20;  // a row of negative logits
  for (uint32_t i = 0; i < 140; i++) {  // more than are adjusted together
    QrSampleRow s = drawn_row(static_cast<int>(i % 2), 0.9f, i);
    s.repetition = 1.3f;
    s.presence = 0.4f;
    s.frequency = 0.25f;
    s.top_k = i % 4 == 0 ? 30 : 0;
    s.top_p = i % 4 == 1 ? 0.8f : 1;
    scene.samples.push_back(s);
    if (i % 5 == 4) continue;
    for (uint32_t e = 0; e < 9; e++) scene.bias(static_cast<int>(e * 681 + i), e == 3 ? -INFINITY : 14.0f + 0.1f * static_cast<float>(e));
    for (uint32_t e = 0; e < 12; e++) scene.count(static_cast<int>(e * 681 + i), e % 3);  // some of them biased
  }
  check_draws("biases and penalties", scene);
  for (QrSampleRow& s : scene.samples) s.temperature = 0;
  const Results got = run(scene);
  int wrong = 0;
  for (size_t i = 0; i < scene.samples.size(); i++) wrong += got.token[i] != best_first(adjusted(scene, scene.samples[i]))[0];
  check("best after biases and penalties", wrong, 0);
}

/// 40 tokens of one distribution, drawn many times.
void chi_square() {
  const int draws = 2000, vocab = 40;
  Random random(34);
  Scene scene(1, vocab, vocab);
  scene.fill(random, 1);
  for (uint32_t i = 0; i < draws; i++) scene.samples.push_back(drawn_row(0, 1.2f, i));
  const Results got = run(scene);
  std::vector<double> p, counts(static_cast<size_t>(vocab));
  double sum = 0, chi = 0;
  for (int i = 0; i < vocab; i++) p.push_back(exp(scene.at(0, i) / 1.2)), sum += p.back();
  for (int32_t token : got.token) counts[static_cast<size_t>(token)]++;
  for (size_t i = 0; i < p.size(); i++) chi += pow(counts[i] - draws * p[i] / sum, 2) / (draws * p[i] / sum);
  check("chi-square with 39 degrees", chi, 39 + 4 * sqrt(2.0 * 39));
}

void greedy_choices() {
  Random random(5);
  Scene scene(6, 16397, 16400);
  for (int r = 0; r < 6; r++) {
    for (int i = 0; i < scene.vocab; i++) scene.at(r, i) = -5 + random.normal();
  }
  scene.at(0, 16396) = 9;
  scene.at(1, 8192) = scene.at(1, 8191) = scene.at(1, 12000) = 3;
  scene.at(2, 5) = NAN;
  scene.at(3, 7) = INFINITY;
  for (int i = 0; i < scene.vocab; i++) scene.at(4, i) = -INFINITY;
  for (int i = 0; i < scene.vocab; i++) scene.at(5, i) = i == 77 ? -100.0f : -INFINITY;
  for (int r : {0, 1, 2, 3, 4, 5, 1}) scene.samples.push_back(greedy_row(r));
  const std::vector<int32_t> wanted = {16396, 8191, -1, -1, -1, 77, 8191};
  check("greedy", run(scene).token == wanted ? 0 : 1, 0);
  for (QrSampleRow& s : scene.samples) {
    s.temperature = 1e-30f;
    s.top_k = 3;
    s.logprobs = 2;
  }
  const Results got = run(scene);
  bool as_greedy = got.token[0] == 16396 && (got.token[1] == 8191 || got.token[1] == 8192 || got.token[1] == 12000);
  for (size_t i : {2u, 3u, 4u}) as_greedy = as_greedy && got.token[i] == -1 && got.top_token[i * QR_MAX_LOGPROBS] == -1;
  check("tiny temperature, and rows that are not finite", as_greedy && got.token[5] == 77 ? 0 : 1, 0);
}

void scores() {
  for (int vocab : {1, 13, 257, 9001}) {
    Random random(36);
    Scene scene(2, vocab, vocab);
    scene.fill(random, 2);
    for (float& logit : scene.logits) logit = roundf(logit * 8) / 8;  // many ties
    for (int i = 0; i < 4; i++) {
      scene.samples.push_back(i % 2 == 0 ? greedy_row(i / 2) : drawn_row(i / 2, 1, 7));
      scene.samples.back().target = i < 2 ? vocab / 2 : -1;
      scene.samples.back().logprobs = i == 0 ? 0 : 5 * i + 5;
    }
    scene.samples.push_back(greedy_row(0));
    scene.samples.back().target = vocab;
    const Results got = run(scene);
    double worst = 0;
    int wrong = got.token[4] != -1;
    for (size_t i = 0; i < 4; i++) {
      const std::vector<float> x = {&scene.at(static_cast<int>(i) / 2, 0), &scene.at(static_cast<int>(i) / 2, 0) + vocab};
      const std::vector<int> order = best_first(x);
      double sum = 0;
      for (float logit : x) sum += exp(static_cast<double>(logit));
      if (i < 2) wrong += got.token[i] != vocab / 2;
      worst = std::max(worst, fabs(got.logprob[i] - (x[static_cast<size_t>(got.token[i])] - log(sum))));
      for (int j = 0; j < scene.samples[i].logprobs; j++) {
        const size_t at = i * QR_MAX_LOGPROBS + static_cast<size_t>(j);
        const bool there = j < vocab;
        wrong += got.top_token[at] != (there ? order[static_cast<size_t>(j)] : -1);
        worst = std::max(worst, fabs(got.top_logprob[at] - (there ? x[static_cast<size_t>(order[static_cast<size_t>(j)])] - log(sum) : 0)));
      }
    }
    check("best of " + std::to_string(vocab), wrong, 0);
    check("log-probabilities of " + std::to_string(vocab), worst, 2e-6);
  }
}

}  // namespace

void sample_cases() {
  greedy_choices();
  filters();
  ties();
  adjustments();
  chi_square();
  scores();
}

}  // namespace cuda_cases
