// What the conformance cases share: devices, numbers, weights in their file formats, and the count of passes.
#ifndef QUIRE_TESTS_HARNESS_H
#define QUIRE_TESTS_HARNESS_H

#include <stddef.h>
#include <stdint.h>

#include <string>
#include <vector>

#include "numbers.h"
#include "quire.h"

namespace conformance {

/// One line per failure; the count is printed at the end.
void check(bool ok, const char* format, ...) __attribute__((format(printf, 2, 3)));
int report();

/// The larger of two errors; NaN counts as infinite.
double worse(double most, double error);

/// The nearest bfloat16, even on ties, for numbers that are not denormal; and its two bytes.
double to_bf16(double value);
void put_bf16(uint8_t* to, double rounded);

/// Whether a type of the KV cache has codes of a byte and scales; and what a code stands for, times its scale.
bool has_scales(int kv_type);
double code_value(int kv_type, uint8_t code);
/// Bytes of one head's part of a block of the KV cache.
size_t head_bytes(int kv_type, int dim, int block_tokens);

/// An open device.
class Rig {
 public:
  Rig(int isa, int threads);
  ~Rig();
  Rig(const Rig&) = delete;
  qr_dev device = 0;
  std::string label;
  /// Runs one operation on a step; the status.
  int run(int opcode, int flags, const void* args, const QrStep& step);
};

/// Levels that this machine has, or the one that a library without levels has, with one and two threads.
struct Setup {
  int isa, threads;
};
const std::vector<Setup>& setups();

/// A step that owns its arrays.
struct StepData {
  std::vector<int32_t> token, carry, position, slot, query_start{0}, blocks, logits_row, copies, swaps_out, swaps_in;
  std::vector<QrSampleRow> samples;
  std::vector<int32_t> bias_token, count_token, count_output, out_token, out_top_token;
  std::vector<float> bias_value, out_logprob, out_top_logprob;
  int table_stride = 0;
  int64_t nanos = 0;

  /// T tokens and as many rows of logits, no sequences.
  static StepData rows(int n);
  /// Valid until the vectors change.
  QrStep view();
};

/// A matrix in a file format, and its values.
struct Matrix {
  int32_t type;
  int64_t rows, cols;
  std::vector<uint8_t> bytes;
  std::vector<double> values;
};
Matrix random_matrix(int32_t type, int64_t rows, int64_t cols, Random& random);
/// Values of one block of a quantised type, by the GGUF specification.
void decode_block(int32_t type, const uint8_t* block, double* out);
int block_cols(int32_t type);
int block_bytes(int32_t type);
const char* type_name(int32_t type);
extern const std::vector<int32_t> kAllTypes;

/// Packs a matrix into memory that belongs to the caller.
QrWeight pack(Rig& rig, const Matrix& matrix, std::vector<uint8_t>& storage);

/// 64-byte aligned floats with guard values behind them.
class Floats {
 public:
  explicit Floats(size_t n);
  explicit Floats(const std::vector<float>& values);
  float* data() { return data_; }
  uint64_t address() { return reinterpret_cast<uint64_t>(data_); }
  size_t size() const { return size_; }
  bool guarded() const;
  bool equal(const Floats& other, size_t n) const;

 private:
  std::vector<float> memory_;
  float* data_;
  size_t size_;
};

void linear_cases();
void row_cases();
void rope_cases();
void attention_cases();
void expert_cases();
/// `draws` of each distribution.
void sample_cases(int draws);
void fuse_cases();
void boundary_cases();
void group_cases();

}  // namespace conformance

#endif
