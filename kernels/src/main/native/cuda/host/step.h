// A step on the device: its arrays, its samples and the attention's lists, through a pinned buffer and one copy.
#ifndef QUIRE_CUDA_STEP_H
#define QUIRE_CUDA_STEP_H

#include "memory.h"
#include "program.h"
#include "sample.h"

namespace quire::cuda {

/// The attention's lists of one shape, on the device.
struct StepPlan {
  const AttentionItem *decode, *prefill;
  const AttentionMerge* merges;
  const AttentionCounts* counts;
  AttentionCounts capacity;
  int32_t slots;
};

struct StepArrays {
  int32_t tokens, sequences, logits, copies, table_stride, samples;
  int32_t sample_kinds;  // of all samples
  bool chained;  // a pair of blocks begins where another ends: they are copied one after the other
  const QrSampleRow* sample;    // their ranges into entries
  const SampleEntry* entries;
  int32_t swaps_out, swaps_in;
  const int32_t *token, *position, *slot, *query_start, *length, *block_table, *logits_row, *pairs, *pairs_out, *pairs_in;
  const int32_t* carry;         // null: no token is carried
  std::vector<StepPlan> plans;
};

class StepBuffer {
 public:
  /// Plans the step, fills a pinned buffer and starts the copy, behind which the buffer may be used again. *grew: addresses
  /// on the device have changed.
  int fill(const Program& program, const QrStep& step, PinnedBuffer& host, cudaStream_t stream, bool* grew);
  const StepArrays& arrays() const { return arrays_; }

 private:
  PinnedBuffer* host_ = nullptr;
  DeviceBuffer device_;
  StepArrays arrays_ = {};
  std::vector<AttentionSpan> spans_;
  std::vector<AttentionPlan> plans_;
  std::vector<int32_t> lengths_;
  std::vector<QrSampleRow> samples_;
  std::vector<SampleEntry> entries_;  // biases, then counts
  uint64_t used_ = 0;

  void plan(const Program& program, const QrStep& step);
  void gather_samples(const Program& program, const QrStep& step);
  int reserve(const QrStep& step, bool* grew);
  template <class T>
  const T* put(const T* values, size_t n, size_t capacity);
  const int32_t* put_table(const QrStep& step);
};

}  // namespace quire::cuda

#endif
