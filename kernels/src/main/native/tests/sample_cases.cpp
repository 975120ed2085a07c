// QR_OP_SAMPLE: exact choices against plain references, draws against the distribution.
#include <math.h>
#include <string.h>

#include <algorithm>

#include "harness.h"
#include "sample_reference.h"

namespace conformance {
namespace {

QrSampleRow greedy() { return {0, -1, 0.0f, 1.0f, 0.0f, 0, 1.0f, 0.0f, 0.0f, -1, 0, 0, 0, 0, 0, 0, 0}; }

QrSampleRow draw(float temperature, uint64_t seed, uint32_t position) {
  QrSampleRow row = greedy();
  row.temperature = temperature;
  row.seed = seed;
  row.position = position;
  return row;
}

/// The logits of all rows in the device's memory.
void run(Rig& rig, StepData& step, const std::vector<float>& logits, int vocab) {
  QrSample op = {0, vocab, 0};
  const uint64_t bytes = logits.size() * sizeof(float);
  check(qr_alloc(rig.device, bytes, &op.logits) == QR_OK && qr_write(rig.device, op.logits, logits.data(), bytes) == QR_OK, "logits are there");
  check(rig.run(QR_OP_SAMPLE, 0, &op, step.view()) == QR_OK, "sample runs");
  check(qr_free(rig.device, op.logits, bytes) == QR_OK, "logits are given back");
}

std::vector<double> probabilities(const std::vector<float>& logits, double temperature) {
  const double largest = *std::max_element(logits.begin(), logits.end());
  std::vector<double> p;
  double total = 0;
  for (float logit : logits) {
    p.push_back(exp((logit - largest) / temperature));
    total += p.back();
  }
  for (double& value : p) value /= total;
  return p;
}

/// The tokens that min_p, top_k and top_p leave, with their renormalised probabilities.
std::vector<double> filtered(const std::vector<float>& logits, const QrSampleRow& row) {
  std::vector<double> kept = kept_weights(logits, row, row.top_p, row.min_p);
  const double sum = std::accumulate(kept.begin(), kept.end(), 0.0);
  for (double& value : kept) value /= sum;
  return kept;
}

/// Draws many times with running positions and compares the counts with the distribution.
void distribution(int draws, const std::vector<float>& logits, const QrSampleRow& row, const char* name) {
  const std::vector<double> p = filtered(logits, row);
  Rig rig(QR_ISA_AUTO, 2);
  StepData step = StepData::rows(1);
  for (int i = 0; i < draws; i++) {
    QrSampleRow one = row;
    one.position = static_cast<uint32_t>(i);
    step.samples.push_back(one);
  }
  run(rig, step, logits, static_cast<int>(logits.size()));
  std::vector<int> counts(logits.size());
  bool allowed = true;
  for (int i = 0; i < draws; i++) {
    const int token = step.out_token[static_cast<size_t>(i)];
    if (token < 0 || p[static_cast<size_t>(token)] == 0) {
      allowed = false;
    } else {
      counts[static_cast<size_t>(token)]++;
    }
  }
  double chi = 0, rest_expected = 0, rest_counted = 0;
  int freedom = 0;
  for (size_t i = 0; i < p.size(); i++) {
    if (p[i] * draws < 8) {
      rest_expected += p[i] * draws;
      rest_counted += counts[i];
      continue;
    }
    chi += pow(counts[i] - p[i] * draws, 2) / (p[i] * draws);
    freedom++;
  }
  if (rest_expected > 8) chi += pow(rest_counted - rest_expected, 2) / rest_expected;
  check(allowed, "%s: only tokens that the filters leave", name);
  check(chi < freedom + 4.5 * sqrt(2.0 * freedom + 1) + 5, "%s: chi-square %.1f with %d degrees", name, chi, freedom);
}

void distributions(int draws) {
  Random random(11);
  std::vector<float> logits = random.normals(3000);
  for (float& logit : logits) logit *= 3;
  distribution(draws, logits, draw(1.0f, 42, 0), "plain");
  distribution(draws, logits, draw(0.7f, 43, 0), "temperature 0.7");
  QrSampleRow row = draw(1.5f, 44, 0);
  row.top_k = 20;
  distribution(draws, logits, row, "top_k");
  row.top_k = 0;
  row.top_p = 0.8f;
  distribution(draws, logits, row, "top_p");
  row.top_p = 0.9999f;
  distribution(draws, logits, row, "top_p that leaves many");
  row.top_p = 1.0f;
  row.min_p = 0.05f;
  distribution(draws, logits, row, "min_p");
  row.top_k = 100;
  row.top_p = 0.9f;
  row.min_p = 0.01f;
  distribution(draws, logits, row, "all filters");
  logits.assign(200, 0.0f);  // ties everywhere
  row.min_p = 0;
  row.top_p = 1;
  distribution(draws, logits, row, "top_k with ties");
  row.top_k = 0;
  row.top_p = 0.5025f;
  distribution(draws, logits, row, "top_p with ties");
  row = draw(1e-30f, 45, 0);
  logits[7] = 1e-3f;
  distribution(draws, logits, row, "tiny temperature");
}

/// Every level and thread count draws the same tokens from the same seeds.
void same_everywhere() {
  Random random(12);
  std::vector<float> logits = random.normals(5000);
  std::vector<int32_t> first;
  for (const Setup& setup : setups()) {
    Rig rig(setup.isa, setup.threads);
    StepData step = StepData::rows(1);
    for (uint32_t i = 0; i < 200; i++) {
      QrSampleRow row = draw(0.5f + 0.01f * static_cast<float>(i), 1000 + i, i);
      if (i % 3 == 1) row.top_p = 0.9f;
      if (i % 3 == 2) row.top_k = 40;
      row.stream = i % 2;
      row.logprobs = 5;
      step.samples.push_back(row);
    }
    run(rig, step, logits, 5000);
    step.out_token.insert(step.out_token.end(), step.out_top_token.begin(), step.out_top_token.end());
    if (first.empty()) first = step.out_token;
    check(first == step.out_token, "the same draws on %s", rig.label.c_str());
  }
}

void greedy_choices() {
  Random random(13);
  for (int vocab : {1, 2, 15, 16, 17, 63, 64, 65, 1023, 1025, 4999}) {
    std::vector<float> logits = random.normals(static_cast<size_t>(vocab));
    const int tie = random.below(vocab);
    logits[static_cast<size_t>(vocab - 1)] = logits[static_cast<size_t>(tie)] = 9.0f;
    for (const Setup& setup : setups()) {
      Rig rig(setup.isa, setup.threads);
      StepData step = StepData::rows(1);
      step.samples.push_back(greedy());
      run(rig, step, logits, vocab);
      check(step.out_token[0] == tie, "lowest id of a tie, vocabulary %d on %s", vocab, rig.label.c_str());
      check(step.out_logprob[0] == 0, "no log-probability where none is wanted");
    }
  }
}

void not_finite() {
  for (const Setup& setup : setups()) {
    Rig rig(setup.isa, setup.threads);
    std::vector<float> logits(6 * 100, 0.5f);
    logits[99] = NAN;
    logits[100 + 3] = HUGE_VALF;
    for (size_t i = 200; i < 300; i++) logits[i] = -HUGE_VALF;
    logits[300 + 50] = -HUGE_VALF;
    logits[400 + 17] = -NAN;
    StepData step = StepData::rows(6);
    for (int i = 0; i < 12; i++) {
      QrSampleRow row = i < 6 ? greedy() : draw(1.0f, 1, 1);
      row.row = i % 6;
      row.logprobs = 2;
      step.samples.push_back(row);
    }
    for (int32_t i = 0; i < 100; i++) {
      step.bias_token.push_back(i);
      step.bias_value.push_back(-HUGE_VALF);
    }
    for (size_t i : {5u, 11u}) step.samples[i].bias_end = 100;
    run(rig, step, logits, 100);
    bool ok = true;
    for (size_t i = 0; i < 12; i++) ok = ok && (step.out_token[i] >= 0) == (i % 6 == 3);
    check(ok, "rows that are not finite, or all forbidden, give -1 (%s)", rig.label.c_str());
  }
}

void penalties_and_bias() {
  Rig rig(QR_ISA_AUTO, 2);
  const std::vector<float> logits = {2.0f, 1.9f, 1.8f, -1.0f, 1.7f};
  StepData step = StepData::rows(1);
  step.count_token = {0, 1, 3};
  step.count_output = {0, 2, 1};
  step.bias_token = {0, 1, 2, 4};
  step.bias_value = {-HUGE_VALF, -HUGE_VALF, -HUGE_VALF, -5.0f};
  QrSampleRow row = greedy();
  row.repetition = 1.2f;
  row.count_end = 1;
  step.samples.push_back(row);  // 2 / 1.2 < 1.9
  row.repetition = 1.0f;
  row.presence = 0.3f;
  row.count_end = 3;
  step.samples.push_back(row);  // presence counts outputs only: token 0 stays
  row.presence = 0.0f;
  row.frequency = 0.1f;
  row.count_begin = 1;
  step.samples.push_back(row);  // 1.9 - 2 * 0.1
  row = greedy();
  row.bias_end = 4;
  step.samples.push_back(row);  // all but 3 and 4 forbidden, 4 far below
  row.bias_end = 3;
  row.bias_begin = 1;
  row.logprobs = 3;
  step.samples.push_back(row);
  row.target = 3;
  step.samples.push_back(row);
  run(rig, step, logits, 5);
  const std::vector<int32_t> wanted = {1, 0, 0, 3, 0, 3};
  for (size_t i = 0; i < wanted.size(); i++) {
    check(step.out_token[i] == wanted[i], "penalties and bias: sample %d is %d", static_cast<int>(i), step.out_token[i]);
  }
  const std::vector<double> p = probabilities(logits, 1);
  check(fabs(step.out_logprob[5] - log(p[3])) < 1e-6, "log-probability of a target is of the raw logits");
  for (size_t i = 0; i < 3; i++) {
    check(step.out_top_token[4 * QR_MAX_LOGPROBS + i] == static_cast<int32_t>(i) &&
              fabs(step.out_top_logprob[4 * QR_MAX_LOGPROBS + i] - log(p[i])) < 1e-6,
          "the best alternatives come first");
  }
}

void best_of_many() {
  Random random(14);
  std::vector<float> logits = random.normals(4000);
  for (float& logit : logits) logit = roundf(logit * 20) / 20;  // many ties
  const std::vector<int> order = best_first(logits);
  Rig rig(QR_ISA_AUTO, 1);
  StepData step = StepData::rows(1);
  QrSampleRow row = greedy();
  row.logprobs = 20;
  step.samples.push_back(row);
  run(rig, step, logits, 4000);
  check(std::equal(order.begin(), order.begin() + 20, step.out_top_token.begin()), "twenty best in order, ties by id");
}

/// Known answers of philox4x32-10 from the Random123 distribution.
void philox() {
  const uint32_t known[3][10] = {
      {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
      {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd},
      {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}};
  for (const auto& row : known) {
    uint32_t counter[4];
    memcpy(counter, row, 16);
    quire::philox4x32(counter, row[4], row[5]);
    check(memcmp(counter, row + 6, 16) == 0, "philox4x32-10 known answer");
  }
}

}  // namespace

void sample_cases(int draws) {
  philox();
  greedy_choices();
  penalties_and_bias();
  best_of_many();
  not_finite();
  same_everywhere();
  distributions(draws);
}

}  // namespace conformance
