#include "step.h"

#include <algorithm>
#include <bit>

namespace quire::cuda {
namespace {

/// Positions of an item of the decode lists. One number for all steps: a sequence's cut must not depend on its company.
constexpr int kSplit = 512;
/// Tiles of many queries are enough to fill the device and are not split.
constexpr int kPrefillSplit = 1 << 20;
constexpr uint64_t kAlign = 256;

uint64_t aligned(uint64_t bytes) { return (bytes + kAlign - 1) / kAlign * kAlign; }

/// Room for n entries: steps of about the same size get the same, so that a captured graph fits them all.
size_t capacity_of(size_t n) {
  size_t capacity = 1;
  while (capacity < n) capacity *= 2;
  return n == 0 ? 0 : capacity;
}

bool chained(const QrStep& step) {
  for (int32_t i = 0; i < step.n_copies; i++) {
    for (int32_t j = 0; j < step.n_copies; j++) {
      if (i != j && (step.copies[2 * i] == step.copies[2 * j + 1] || step.copies[2 * i + 1] == step.copies[2 * j + 1])) return true;
    }
  }
  return false;
}

}  // namespace

/// Behind what is in the buffer, with room for `capacity` entries; the address on the device.
template <class T>
const T* StepBuffer::put(const T* values, size_t n, size_t capacity) {
  if (n > 0) memcpy(host_->at<T>(used_), values, n * sizeof(T));
  const T* at = device_.at<T>(used_);
  used_ += aligned(capacity * sizeof(T));
  return at;
}

/// The rows of the block table, cut to the blocks that the longest sequence has.
const int32_t* StepBuffer::put_table(const QrStep& step) {
  const size_t stride = static_cast<size_t>(arrays_.table_stride), rows = static_cast<size_t>(step.n_seqs);
  const size_t given = std::min(stride, static_cast<size_t>(step.table_stride));
  for (size_t b = 0; b < rows; b++) {
    memcpy(host_->at<int32_t>(used_) + b * stride, step.block_table + b * static_cast<size_t>(step.table_stride),
           given * sizeof(int32_t));
  }
  const int32_t* at = device_.at<int32_t>(used_);
  used_ += aligned(rows * stride * sizeof(int32_t));
  return at;
}

void StepBuffer::plan(const Program& program, const QrStep& step) {
  spans_.clear();
  lengths_.clear();
  arrays_.table_stride = 0;
  plans_.clear();
  if (program.block_tokens() == 0) return;
  int32_t longest = 0;
  for (int32_t b = 0; b < step.n_seqs; b++) {
    const int32_t first = step.query_start[b], queries = step.query_start[b + 1] - first;
    const int32_t length = queries > 0 ? step.position[first + queries - 1] + 1 : 0;
    spans_.push_back({first, queries, length});
    lengths_.push_back(length);
    longest = std::max(longest, length);
  }
  arrays_.table_stride = static_cast<int32_t>(capacity_of(static_cast<size_t>(ceil_div(longest, program.block_tokens()))));
  for (const AttentionShape& s : program.shapes()) {
    plans_.push_back(s.tiled() ? plan_attention(spans_, s.heads, s.kv_heads, s.head_dim, s.window, kSplit, kPrefillSplit)
                               : AttentionPlan());
  }
}

void StepBuffer::gather_samples(const Program& program, const QrStep& step) {
  samples_.clear();
  entries_.clear();
  arrays_.sample_kinds = 0;
  if (program.sample() == nullptr) return;
  samples_.assign(step.samples, step.samples + step.n_samples);
  int32_t biases = 0, counts = 0;
  for (const QrSampleRow& s : samples_) {
    if (s.bias_begin < s.bias_end) biases = std::max(biases, s.bias_end);
    if (s.count_begin < s.count_end) counts = std::max(counts, s.count_end);
    arrays_.sample_kinds |= sample_kinds(s);
  }
  entries_.reserve(static_cast<size_t>(biases) + static_cast<size_t>(counts));
  for (int32_t i = 0; i < biases; i++) entries_.push_back({step.bias_token[i], std::bit_cast<uint32_t>(step.bias_value[i])});
  for (int32_t i = 0; i < counts; i++) entries_.push_back({step.count_token[i], static_cast<uint32_t>(step.count_output[i])});
  for (QrSampleRow& s : samples_) {
    s.count_begin += biases;
    s.count_end += biases;
  }
}

int StepBuffer::reserve(const QrStep& step, bool* grew) {
  const size_t T = static_cast<size_t>(step.n_tokens), B = static_cast<size_t>(step.n_seqs);
  uint64_t bytes = 4 * aligned(4 * T) + aligned(4 * (B + 1)) + aligned(4 * B) +
                   aligned(4 * B * static_cast<size_t>(arrays_.table_stride)) +
                   aligned(4 * static_cast<size_t>(step.n_logits)) + aligned(8 * static_cast<size_t>(step.n_copies)) +
                   aligned(samples_.size() * sizeof(QrSampleRow)) + aligned(entries_.size() * sizeof(SampleEntry)) +
                   aligned(8 * static_cast<size_t>(step.n_swaps_out)) + aligned(8 * static_cast<size_t>(step.n_swaps_in));
  for (const AttentionPlan& p : plans_) {
    bytes += aligned(capacity_of(p.decode.size()) * sizeof(AttentionItem)) +
             aligned(capacity_of(p.prefill.size()) * sizeof(AttentionItem)) +
             aligned(capacity_of(p.merges.size()) * sizeof(AttentionMerge)) + aligned(sizeof(AttentionCounts));
  }
  bool moved = false;  // which no graph minds
  const int status = host_->reserve(bytes + kAlign, &moved);
  return status == QR_OK ? device_.reserve(bytes + kAlign, grew) : status;
}

int StepBuffer::fill(const Program& program, const QrStep& step, PinnedBuffer& host, cudaStream_t stream, bool* grew) {
  host_ = &host;
  plan(program, step);
  gather_samples(program, step);
  const int status = reserve(step, grew);
  if (status != QR_OK) return status;
  const size_t T = static_cast<size_t>(step.n_tokens), B = static_cast<size_t>(step.n_seqs);
  const size_t R = static_cast<size_t>(step.n_logits), C = 2 * static_cast<size_t>(step.n_copies);
  const size_t O = 2 * static_cast<size_t>(step.n_swaps_out), I = 2 * static_cast<size_t>(step.n_swaps_in);
  used_ = 0;
  StepArrays& a = arrays_;
  a.tokens = step.n_tokens;
  a.sequences = step.n_seqs;
  a.logits = step.n_logits;
  a.copies = step.n_copies;
  a.samples = static_cast<int32_t>(samples_.size());
  a.chained = chained(step);
  a.swaps_out = step.n_swaps_out;
  a.swaps_in = step.n_swaps_in;
  a.token = put(step.token, T, T);
  a.position = put(step.position, T, T);
  a.slot = put(step.slot, T, T);
  a.query_start = put(step.query_start, B > 0 ? B + 1 : 0, B + 1);
  a.length = put(lengths_.data(), lengths_.size(), B);
  a.block_table = put_table(step);
  a.logits_row = put(step.logits_row, R, R);
  a.pairs = put(step.copies, C, C);
  a.sample = put(samples_.data(), samples_.size(), samples_.size());
  a.pairs_out = put(step.swaps_out, O, O);
  a.pairs_in = put(step.swaps_in, I, I);
  a.plans.clear();
  for (const AttentionPlan& p : plans_) {
    const AttentionCounts counts = {static_cast<int32_t>(p.decode.size()), static_cast<int32_t>(p.prefill.size()),
                                    static_cast<int32_t>(p.merges.size()), 0};
    const AttentionCounts capacity = {static_cast<int32_t>(capacity_of(p.decode.size())),
                                      static_cast<int32_t>(capacity_of(p.prefill.size())),
                                      static_cast<int32_t>(capacity_of(p.merges.size())), 0};
    StepPlan plan = {};
    plan.decode = put(p.decode.data(), p.decode.size(), static_cast<size_t>(capacity.decode));
    plan.prefill = put(p.prefill.data(), p.prefill.size(), static_cast<size_t>(capacity.prefill));
    plan.merges = put(p.merges.data(), p.merges.size(), static_cast<size_t>(capacity.merges));
    plan.counts = put(&counts, 1, 1);
    plan.capacity = capacity;
    plan.slots = p.slots;
    a.plans.push_back(plan);
  }
  // Last, what is no part of a graph's shape.
  a.entries = put(entries_.data(), entries_.size(), entries_.size());
  a.carry = step.n_carried > 0 ? put(step.carry, T, T) : nullptr;
  if (used_ == 0) return QR_OK;
  return checked(cudaMemcpyAsync(device_.at<void>(), host_->at<void>(), used_, cudaMemcpyHostToDevice, stream), "copy of a step");
}

}  // namespace quire::cuda
