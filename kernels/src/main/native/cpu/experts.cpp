#include "experts.h"

#include <math.h>
#include <string.h>

#include <algorithm>

#include "device.h"

namespace quire {
namespace {

bool reads_floats(const LinearJob& job) {
  return std::any_of(job.parts, job.parts + job.n_parts, [](const LinearPart& p) { return p.format->code_bits == 0; });
}

/// The best experts of a row, best first, and their weights. Whatever the logits are, the ids are distinct and in range.
void choose(const ExpertsJob& job, int64_t row) {
  const int experts = job.op->experts, chosen = job.op->chosen;
  const float* logits = reinterpret_cast<const float*>(job.op->logits) + row * experts;
  int32_t* ids = job.chosen + row * chosen;
  float* weights = job.weight + row * chosen;
  for (int j = 0; j < chosen; j++) {
    int best = -1;
    for (int e = 0; e < experts; e++) {
      if ((best < 0 || logits[e] > logits[best]) && std::find(ids, ids + j, e) == ids + j) best = e;
    }
    ids[j] = best;
  }
  const double largest = logits[ids[0]];
  double all = 0, taken = 0;
  for (int e = 0; e < experts; e++) all += exp(logits[e] - largest);
  for (int j = 0; j < chosen; j++) taken += exp(logits[ids[j]] - largest);
  const double total = job.normalised ? taken : all;
  for (int j = 0; j < chosen; j++) weights[j] = static_cast<float>(exp(logits[ids[j]] - largest) / total);
}

/// The job of one expert over its rows.
LinearJob of_expert(const LinearJob& first, const ExpertRows& rows, int threads) {
  LinearJob job = first;
  job.rows = rows.rows;
  for (int p = 0; p < job.n_parts; p++) job.parts[p].data += rows.expert * job.parts[p].tiles * job.parts[p].tile.bytes;
  split_linear(job, threads);
  return job;
}

/// The quantised form from a row on, which is a multiple of kRowBlock.
QuantisedRows from_row(const LinearJob& job, int64_t row) {
  QuantisedRows q = job.q;
  const int64_t cells = row * group_slots(job.in_cols);
  q.codes += cells * kGroup;
  if (q.low != nullptr) q.low += cells * kGroup;
  if (q.factors != nullptr) q.factors += cells * 3;
  for (int32_t*& starts : q.starts) {
    if (starts != nullptr) starts += cells * 2;
  }
  if (q.pair_scales != nullptr) q.pair_scales += cells / 2;
  if (q.pairs != nullptr) q.pairs += cells * 2;
  return q;
}

/// A counting sort; rows of an expert keep their order.
void sort(const ExpertsJob& job, int threads) {
  const int32_t experts = job.op->experts, chosen = job.op->chosen;
  const int64_t pairs = static_cast<int64_t>(job.rows) * chosen;
  for (int32_t e = 0; e < experts; e++) job.active[e] = {e, 0, 0, 0, 0};
  for (int64_t i = 0; i < pairs; i++) job.active[job.chosen[i]].rows++;
  ExpertsPlan plan = {};
  for (int32_t e = 0; e < experts; e++) {
    job.active[e].first = plan.slots;
    plan.slots += static_cast<int32_t>(round_up(job.active[e].rows, kRowBlock));
    job.active[e].rows = 0;
  }
  std::fill(job.source, job.source + plan.slots, -1);
  for (int64_t i = 0; i < pairs; i++) {
    ExpertRows& rows = job.active[job.chosen[i]];
    job.slot[i] = rows.first + rows.rows++;
    job.source[job.slot[i]] = static_cast<int32_t>(i / chosen);
  }
  for (int32_t e = 0; e < experts; e++) {
    ExpertRows rows = job.active[e];
    if (rows.rows == 0) continue;
    rows.gate_item = plan.gate_items;
    rows.down_item = plan.down_items;
    plan.gate_items += of_expert(job.gate_up, rows, threads).items;
    plan.down_items += of_expert(job.down, rows, threads).items;
    job.active[plan.active++] = rows;
  }
  *job.plan = plan;
}

/// Puts the row of x that a slot stands for into the forms that the weights want.
void gather(const Device& dev, const ExpertsJob& job, int64_t slot) {
  const int32_t row = job.source[slot];
  if (row < 0) return;
  const int cols = job.gate_up.in_cols;
  const float* x = reinterpret_cast<const float*>(job.op->x) + static_cast<int64_t>(row) * cols;
  if (job.gathered != nullptr) memcpy(job.gathered + slot * cols, x, static_cast<size_t>(cols) * sizeof(float));
  if (job.gate_up.quantised) dev.kernels->quantise(job.gate_up, job.gate_up.q, x, slot, 0, cols / kGroup);
}

const ExpertRows& owner(const ExpertsJob& job, int64_t item, int64_t ExpertRows::*first) {
  const ExpertRows *begin = job.active, *end = begin + job.plan->active;
  return *(std::upper_bound(begin, end, item, [first](int64_t i, const ExpertRows& r) { return i < r.*first; }) - 1);
}

void gate_up_item(Device& dev, const ExpertsJob& all, int64_t item, float* scratch) {
  const ExpertRows& rows = owner(all, item, &ExpertRows::gate_item);
  LinearJob job = of_expert(all.gate_up, rows, dev.pool.threads());
  QrGated gate = all.gate;
  gate.out = reinterpret_cast<uint64_t>(all.gated + static_cast<int64_t>(rows.first) * gate.inner);
  job.gate = &gate;
  if (all.gathered != nullptr) job.x = all.gathered + static_cast<int64_t>(rows.first) * job.in_cols;
  const QuantisedRows q = job.quantised ? from_row(job, rows.first) : QuantisedRows{};
  dev.kernels->linear(job, q, item - rows.gate_item, scratch);
}

void down_item(Device& dev, const ExpertsJob& all, int64_t item, float* scratch) {
  const ExpertRows& rows = owner(all, item, &ExpertRows::down_item);
  LinearJob job = of_expert(all.down, rows, dev.pool.threads());
  job.x = all.gated + static_cast<int64_t>(rows.first) * job.in_cols;
  job.out = all.out + static_cast<int64_t>(rows.first) * job.out_cols;
  const QuantisedRows q = job.quantised ? from_row(job, rows.first) : QuantisedRows{};
  dev.kernels->linear(job, q, item - rows.down_item, scratch);
}

void add_up(const ExpertsJob& job, int64_t row) {
  const int cols = job.down.out_cols;
  float* sum = reinterpret_cast<float*>(job.op->sum) + row * cols;
  if (!job.add) std::fill_n(sum, cols, 0.0f);
  for (int64_t i = row * job.op->chosen; i < (row + 1) * job.op->chosen; i++) {
    const float* out = job.out + static_cast<int64_t>(job.slot[i]) * cols;
    for (int c = 0; c < cols; c++) sum[c] += job.weight[i] * out[c];
  }
}

/// f(slot) for the slots in use, those of a quantised block by one thread.
template <class F>
void for_slots(Device& dev, const ExpertsJob& job, F&& f) {
  dev.pool.parallel(job.plan->slots / kRowBlock, [&](int64_t block) {
    for (int64_t slot = block * kRowBlock; slot < (block + 1) * kRowBlock; slot++) f(slot);
  });
}

/// Hands out pieces of memory, or counts their bytes.
struct Pieces {
  uint8_t* base;
  int64_t bytes = 0;

  template <class T>
  void take(T*& piece, int64_t count) {
    piece = reinterpret_cast<T*>(base + bytes);
    bytes += round_up(count * static_cast<int64_t>(sizeof(T)), 64);
  }
};

int64_t lay_out(ExpertsJob& job, uint8_t* at) {
  const int64_t pairs = static_cast<int64_t>(job.rows) * job.op->chosen, slots = job.slots;
  Pieces pieces = {at};
  pieces.take(job.plan, 1);
  pieces.take(job.active, job.op->experts);
  pieces.take(job.chosen, pairs);
  pieces.take(job.weight, pairs);
  pieces.take(job.slot, pairs);
  pieces.take(job.source, slots);
  job.gathered = nullptr;
  if (reads_floats(job.gate_up)) pieces.take(job.gathered, slots * job.gate_up.in_cols);
  pieces.take(job.gated, slots * job.down.in_cols);
  pieces.take(job.out, slots * job.down.out_cols);
  for (LinearJob* linear : {&job.gate_up, &job.down}) {
    if (!linear->quantised) continue;
    uint8_t* rows = nullptr;
    pieces.take(rows, quantised_bytes(*linear));
    linear->q = place_quantised(*linear, rows);
  }
  return pieces.bytes;
}

}  // namespace

void prepare_experts(const QrExperts& op, int flags, int rows, ExpertsJob& job) {
  job = {};
  job.op = &op;
  job.rows = rows;
  job.normalised = (flags & QR_NORMALISED) != 0;
  job.add = (flags & QR_ADD) != 0;
  const int64_t pairs = static_cast<int64_t>(rows) * op.chosen;
  job.slots = static_cast<int32_t>(round_up(pairs + std::min<int64_t>(op.experts, pairs) * (kRowBlock - 1), kRowBlock));
  QrWeight gate_up[2] = {op.gate, op.up}, down = op.down;
  const int32_t inner = op.down.cols;
  gate_up[0].rows = gate_up[1].rows = inner;
  down.rows = op.gate.cols;
  const bool high = (flags & QR_HIGH_PRECISION) != 0;
  job.gate_up = linear_job(gate_up, 2, high);
  job.down = linear_job(&down, 1, high);
  job.gate_up.rows = job.down.rows = job.slots;
  job.gate = {0, 0, inner, op.activation};
  job.gate_up.gate = &job.gate;
  job.gate_up.gate_columns = inner % (2 * kGroup) == 0 ? 2 * kGroup : kGroup;
}

int64_t experts_bytes(const ExpertsJob& job) {
  ExpertsJob copy = job;
  return lay_out(copy, nullptr);
}

void place_experts(ExpertsJob& job, uint8_t* at) { lay_out(job, at); }

void run_experts(Device& dev, Worker& worker, const ExpertsJob& job) {
  if (job.rows == 0) return;
  Pool& pool = dev.pool;
  float* scratch = reinterpret_cast<float*>(worker.scratch.data());
  pool.parallel(job.rows, [&](int64_t row) { choose(job, row); });
  pool.parallel(1, [&](int64_t) { sort(job, pool.threads()); });
  for_slots(dev, job, [&](int64_t slot) { gather(dev, job, slot); });
  pool.parallel(job.plan->gate_items, [&](int64_t item) { gate_up_item(dev, job, item, scratch); });
  if (job.down.quantised) {
    const int inner = job.down.in_cols;
    for_slots(dev, job, [&](int64_t slot) {
      if (job.source[slot] >= 0) dev.kernels->quantise(job.down, job.down.q, job.gated + slot * inner, slot, 0, inner / kGroup);
    });
  }
  pool.parallel(job.plan->down_items, [&](int64_t item) { down_item(dev, job, item, scratch); });
  pool.parallel(job.rows, [&](int64_t row) { add_up(job, row); });
}

}  // namespace quire
