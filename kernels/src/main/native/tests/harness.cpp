#include "harness.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

namespace conformance {
namespace {

int passed = 0, failed = 0;
constexpr float kGuard = 12345.678f;
constexpr size_t kGuards = 16;

}  // namespace

void check(bool ok, const char* format, ...) {
  if (ok) {
    passed++;
    return;
  }
  failed++;
  if (failed > 40) return;
  va_list arguments;
  va_start(arguments, format);
  printf("FAILED ");
  vprintf(format, arguments);
  printf("\n");
  va_end(arguments);
}

int report() {
  printf("%d passed, %d failed\n", passed, failed);
  return failed == 0 && passed > 0 ? 0 : 1;
}

double worse(double most, double error) { return error <= most ? most : isnan(error) ? HUGE_VAL : error; }

double to_bf16(double value) {
  int exponent;
  const double fraction = frexp(value, &exponent);
  return ldexp(nearbyint(ldexp(fraction, 8)), exponent - 8);
}

bool has_scales(int kv_type) { return kv_type == QR_KV_INT8 || kv_type == QR_KV_FP8; }

double code_value(int kv_type, uint8_t code) { return kv_type == QR_KV_INT8 ? static_cast<int8_t>(code) : e4m3(code); }

size_t head_bytes(int kv_type, int dim, int block_tokens) {
  const int each = has_scales(kv_type) ? dim + 4 : kv_type == QR_BF16 ? 2 * dim : 4 * dim;
  return static_cast<size_t>(each * block_tokens);
}

void put_bf16(uint8_t* to, double rounded) {
  const float value = static_cast<float>(rounded);
  memcpy(to, reinterpret_cast<const uint8_t*>(&value) + 2, 2);
}

Rig::Rig(int isa, int threads) {
  const QrDeviceOpts opts = {sizeof(QrDeviceOpts), threads, isa, 0};
  const int status = qr_device_open(&opts, &device);
  static const char* const names[] = {"auto", "scalar", "avx2", "avx512", "avx512_bf16"};
  label = std::string(names[isa]) + "/" + std::to_string(threads);
  check(status == QR_OK, "open %s", label.c_str());
}

Rig::~Rig() { check(qr_device_close(device) == QR_OK, "close %s", label.c_str()); }

int Rig::run(int opcode, int flags, const void* args, const QrStep& step) {
  const QrOp op = {opcode, flags, reinterpret_cast<uint64_t>(args)};
  const int status = qr_submit(device, &op, 1, &step);
  return status != QR_OK ? status : qr_wait(device);
}

const std::vector<Setup>& setups() {
  static const std::vector<Setup> all = [] {
    std::vector<Setup> found;
    for (int isa : {QR_ISA_SCALAR, QR_ISA_AVX2, QR_ISA_AVX512, QR_ISA_AVX512_BF16}) {
      const QrDeviceOpts opts = {sizeof(QrDeviceOpts), 1, isa, 0};
      qr_dev device;
      if (qr_device_open(&opts, &device) != QR_OK) continue;
      qr_device_close(device);
      found.push_back({isa, 1});
      found.push_back({isa, 2});
    }
    if (found.empty()) found = {{QR_ISA_AUTO, 1}, {QR_ISA_AUTO, 2}};
    return found;
  }();
  return all;
}

StepData StepData::rows(int n) {
  StepData step;
  step.token.assign(static_cast<size_t>(n), 0);
  step.position = step.slot = step.token;
  for (int i = 0; i < n; i++) step.logits_row.push_back(i);
  return step;
}

QrStep StepData::view() {
  out_token.assign(samples.size() + 1, -7);
  out_logprob.assign(samples.size() + 1, -7);
  out_top_token.assign((samples.size() + 1) * QR_MAX_LOGPROBS, -7);
  out_top_logprob.assign((samples.size() + 1) * QR_MAX_LOGPROBS, -7);
  blocks.resize(blocks.size() + 1);
  QrStep step = {};
  step.size = sizeof(QrStep);
  step.n_tokens = static_cast<int32_t>(token.size());
  step.n_seqs = static_cast<int32_t>(query_start.size()) - 1;
  step.n_logits = static_cast<int32_t>(logits_row.size());
  step.n_samples = static_cast<int32_t>(samples.size());
  step.n_copies = static_cast<int32_t>(copies.size() / 2);
  step.n_swaps_out = static_cast<int32_t>(swaps_out.size() / 2);
  step.n_swaps_in = static_cast<int32_t>(swaps_in.size() / 2);
  step.table_stride = table_stride;
  for (const int32_t sample : carry) step.n_carried += sample >= 0;
  step.token = token.data();
  step.carry = carry.data();
  step.position = position.data();
  step.slot = slot.data();
  step.query_start = query_start.data();
  step.block_table = blocks.data();
  step.logits_row = logits_row.data();
  step.copies = copies.data();
  step.swaps_out = swaps_out.data();
  step.swaps_in = swaps_in.data();
  step.samples = samples.data();
  step.bias_token = bias_token.data();
  step.bias_value = bias_value.data();
  step.count_token = count_token.data();
  step.count_output = count_output.data();
  step.out_token = out_token.data();
  step.out_logprob = out_logprob.data();
  step.out_top_token = out_top_token.data();
  step.out_top_logprob = out_top_logprob.data();
  step.out_nanos = &nanos;
  return step;
}

QrWeight pack(Rig& rig, const Matrix& matrix, std::vector<uint8_t>& storage) {
  uint64_t bytes = 0;
  check(qr_packed_bytes(matrix.type, matrix.rows, matrix.cols, &bytes) == QR_OK, "packed_bytes of %s",
        type_name(matrix.type));
  storage.assign(bytes + 64, 0xAA);
  const uint64_t address = (reinterpret_cast<uint64_t>(storage.data()) + 63) / 64 * 64;
  check(qr_pack(rig.device, matrix.type, matrix.bytes.data(), matrix.rows, matrix.cols, address) == QR_OK,
        "pack of %s", type_name(matrix.type));
  return {address, matrix.type, static_cast<int32_t>(matrix.cols), matrix.rows};
}

Floats::Floats(size_t n) : memory_(n + kGuards + 16, kGuard), size_(n) {
  const uint64_t address = reinterpret_cast<uint64_t>(memory_.data());
  data_ = memory_.data() + ((address + 63) / 64 * 64 - address) / sizeof(float);
}

Floats::Floats(const std::vector<float>& values) : Floats(values.size()) {
  if (!values.empty()) memcpy(data_, values.data(), values.size() * sizeof(float));
}

bool Floats::guarded() const {
  for (size_t i = 0; i < kGuards / 2; i++) {
    if (data_[size_ + i] != kGuard) return false;
  }
  return true;
}

bool Floats::equal(const Floats& other, size_t n) const {
  return memcmp(data_, other.data_, n * sizeof(float)) == 0;
}

}  // namespace conformance
