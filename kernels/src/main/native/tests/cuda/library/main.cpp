// The CUDA library through quire.h, on the shim or on a GPU: weights of every file type, samples, refusals. What it
// computes is compared with sums in double, and its samples with the CPU library's: main <path of libquire_cpu.so>
#include <dlfcn.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../expert_reference.h"
#include "../../sample_reference.h"
#include "device.h"

namespace conformance {
namespace {

void linear_case(Rig& rig, int32_t type, int64_t rows, int64_t cols, int tokens, int flags, Random& random, int64_t below = 32) {
  Packed first(rig, type, rows, cols, random), second(rig, QR_F16, below, cols, random);
  const size_t n = static_cast<size_t>(rows + below), T = static_cast<size_t>(tokens);
  const std::vector<uint16_t> x = bf16_of(random.normals(T * static_cast<size_t>(cols))), before = bf16_of(random.normals((T + 1) * n));
  const std::vector<float> bias = random.normals(n);
  Piece d_x(rig.device, x), d_out(rig.device, before), d_bias(rig.device, bias);
  QrLinear op = {d_x.address(), d_out.address(), d_bias.address(), {first.weight, second.weight, {}}, 2, static_cast<int32_t>(cols),
                 static_cast<int32_t>(n), 0};
  StepData step = StepData::rows(tokens);
  check(rig.run(QR_OP_LINEAR, flags, &op, step.view()) == QR_OK, "linear of %s", type_name(type));
  std::vector<double> wanted;
  for (size_t t = 0; t < T; t++) {
    for (size_t r = 0; r < n; r++) {
      const Matrix& m = r < static_cast<size_t>(rows) ? first.matrix : second.matrix;
      const size_t row = r < static_cast<size_t>(rows) ? r : r - static_cast<size_t>(rows), k = static_cast<size_t>(cols);
      double sum = bias[r] + ((flags & QR_ADD) != 0 ? quire::bf16_to_float(before[t * n + r]) : 0.0f);
      for (size_t c = 0; c < k; c++) sum += m.values[row * k + c] * quire::bf16_to_float(x[t * k + c]);
      wanted.push_back(sum);
    }
  }
  const std::vector<uint16_t> got = d_out.read<uint16_t>();
  const double error = distance(floats_of(got, T * n), wanted);
  check(error < 6e-3, "linear of %s, %lld x %lld, %d tokens: error %g", type_name(type), static_cast<long long>(rows),
        static_cast<long long>(cols), tokens, error);
  check(memcmp(&got[T * n], &before[T * n], n * 2) == 0, "linear of %s leaves the row behind alone", type_name(type));
}

void embed_case(Rig& rig, int32_t type, int64_t rows, int64_t cols, Random& random) {
  Packed table(rig, type, rows, cols, random);
  StepData step = StepData::rows(4);
  step.token = {0, static_cast<int32_t>(rows) - 1, 37, 9};
  Piece out(rig.device, 4 * static_cast<uint64_t>(cols) * 4);
  const QrEmbed op = {out.address(), table.weight, 0.5f, 0};
  check(rig.run(QR_OP_EMBED, 0, &op, step.view()) == QR_OK, "embed of %s", type_name(type));
  std::vector<double> wanted;
  for (int32_t token : step.token) {
    for (int64_t c = 0; c < cols; c++) wanted.push_back(0.5 * table.matrix.values[static_cast<size_t>(token * cols + c)]);
  }
  const double error = distance(floats_of(out.read<uint16_t>(), wanted.size()), wanted);
  check(error < 6e-3, "embed of %s, %lld x %lld: error %g", type_name(type), static_cast<long long>(rows), static_cast<long long>(cols), error);
}

void expert_case(Rig& rig, int32_t type, int tokens, int flags, Random& random) {
  constexpr int kExperts = 3, kChosen = 2, kWidth = 256;
  Packed gate(rig, type, kExperts * kWidth, kWidth, random), up(rig, QR_F16, kExperts * kWidth, kWidth, random),
      down(rig, type, kExperts * kWidth, kWidth, random);
  const size_t count = static_cast<size_t>(tokens * kWidth);
  const std::vector<uint16_t> x = bf16_of(random.normals(count)), before = bf16_of(random.normals(count + kWidth));
  const std::vector<float> logits = random.normals(static_cast<size_t>(tokens * kExperts));
  Piece d_x(rig.device, x), sum(rig.device, before), d_logits(rig.device, logits);
  const QrExperts op = {sum.address(), d_x.address(), d_logits.address(), gate.weight, up.weight, down.weight, kExperts, kChosen, QR_SILU, 0};
  StepData step = StepData::rows(tokens);
  check(rig.run(QR_OP_EXPERTS, flags, &op, step.view()) == QR_OK, "experts of %s", type_name(type));
  const std::vector<float> start = (flags & QR_ADD) != 0 ? floats_of(before, count) : std::vector<float>(count), rows = floats_of(x, count);
  const std::vector<double> wanted =
      mixture({tokens, kExperts, kChosen, (flags & QR_NORMALISED) != 0, gate.matrix, up.matrix, down.matrix},
              std::vector<double>(start.begin(), start.end()), std::vector<double>(rows.begin(), rows.end()), logits);
  const std::vector<uint16_t> got = sum.read<uint16_t>();
  const double error = distance(floats_of(got, count), wanted);
  check(error < 1e-2, "experts of %s, %d tokens: error %g", type_name(type), tokens, error);
  check(memcmp(&got[count], &before[count], kWidth * 2) == 0, "experts of %s leave the row behind alone", type_name(type));
}

double nearest_e4m3(double value) {
  double nearest = 0;
  for (int code = 0; code < 256; code++) {
    const double number = e4m3(static_cast<uint8_t>(code));
    if ((code & 0x7f) != 0x7f && fabs(number - value) < fabs(nearest - value)) nearest = number;
  }
  return nearest;
}

/// Weights with a scale a row and many rows of x: both in 8 bits where cuBLASLt is there, unless more precision is wanted.
void float8_case(Rig& rig, int flags, Random& random) {
  constexpr int kN = 384, kK = 320, kTokens = 133;
  Matrix m = random_matrix(QR_F8_E4M3, kN, kK, random);
  constexpr int kBlock = 36;
  m.values.clear();
  for (int r = 0; r < kN; r++) {
    const float scale = ldexpf(static_cast<float>(3 + r % 5), -11);
    for (int c = 0; c < kK; c++) {
      uint8_t* block = &m.bytes[static_cast<size_t>((r * kK + c) / 32 * kBlock)];
      memcpy(block, &scale, sizeof scale);
      m.values.push_back(scale * e4m3(block[4 + c % 32]));
    }
  }
  Packed weight(rig, m);
  const std::vector<uint16_t> x = bf16_of(random.normals(kTokens * kK));
  Piece d_x(rig.device, x), d_out(rig.device, std::vector<uint16_t>(kTokens * kN));
  QrLinear op = {d_x.address(), d_out.address(), 0, {weight.weight, {}, {}}, 1, kK, kN, 0};
  check(rig.run(QR_OP_LINEAR, flags, &op, StepData::rows(kTokens).view()) == QR_OK, "linear of 8-bit floats");
  const std::vector<float> got = floats_of(d_out.read<uint16_t>(), kTokens * kN);
  std::vector<double> exact, rounded;
  for (int t = 0; t < kTokens; t++) {
    std::vector<double> row, codes;
    double largest = 0;
    for (int c = 0; c < kK; c++) row.push_back(quire::bf16_to_float(x[static_cast<size_t>(t * kK + c)]));
    for (double value : row) largest = std::max(largest, fabs(value));
    for (double value : row) codes.push_back(nearest_e4m3(value * 448 / largest) * largest / 448);
    for (int r = 0; r < kN; r++) {
      double sum = 0, of_codes = 0;
      for (int c = 0; c < kK; c++) {
        sum += row[static_cast<size_t>(c)] * m.values[static_cast<size_t>(r * kK + c)];
        of_codes += codes[static_cast<size_t>(c)] * m.values[static_cast<size_t>(r * kK + c)];
      }
      exact.push_back(sum);
      rounded.push_back(of_codes);
    }
  }
  const double far = distance(got, exact), near = distance(got, rounded);
  const bool eight = near < far;
  check(std::min(far, near) < 6e-3, "8-bit floats: error %g, with x in 8 bits %g", far, near);
  check(eight == (getenv("QR_CUBLASLT") != nullptr && flags == 0), "x is %srounded to 8 bits", eight ? "" : "not ");
}

void weight_cases(Rig& rig) {
  Random random(11);
  for (int32_t type : kAllTypes) {
    linear_case(rig, type, 128, 256, 3, 0, random);
    linear_case(rig, type, 128, 256, 17, QR_ADD, random);
    linear_case(rig, type, 48, 256, 2, QR_ADD, random);
    embed_case(rig, type, 128, 256, random);
    embed_case(rig, type, 48, 256, random);
    expert_case(rig, type, 2, QR_NORMALISED | QR_ADD, random);
    expert_case(rig, type, 11, QR_ROWS_LOGITS, random);
  }
  // Weights made dense first.
  for (int32_t type : {QR_Q4_1, QR_Q8_0, QR_F8_E4M3}) linear_case(rig, type, 384, 64, 130, type == QR_Q8_0 ? QR_ADD : 0, random);
  for (int flags : {0, QR_HIGH_PRECISION}) float8_case(rig, flags, random);
  // Odd counts of columns: no two of out can be written together, or none but the last.
  for (int tokens : {3, 17}) {
    linear_case(rig, QR_Q4_0, 128, 256, tokens, 0, random, 33);
    linear_case(rig, QR_BF16, 129, 256, tokens, QR_ADD, random, 31);
    linear_case(rig, QR_BF16, 129, 72, tokens, 0, random, 16);
  }
}

/// The CPU library, bound by name beside the one under test.
struct CpuLibrary {
  decltype(&qr_device_open) open;
  decltype(&qr_submit) submit;
  decltype(&qr_wait) wait;
  qr_dev device = 0;

  explicit CpuLibrary(const char* path) {
    void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_DEEPBIND);
    if (library == nullptr) fprintf(stderr, "%s\n", dlerror());
    check(library != nullptr, "the CPU library opens");
    open = reinterpret_cast<decltype(open)>(dlsym(library, "qr_device_open"));
    submit = reinterpret_cast<decltype(submit)>(dlsym(library, "qr_submit"));
    wait = reinterpret_cast<decltype(wait)>(dlsym(library, "qr_wait"));
    const QrDeviceOpts opts = {sizeof(QrDeviceOpts), 1, QR_ISA_AUTO, 0};
    check(open(&opts, &device) == QR_OK, "the CPU opens");
  }
  int run(int opcode, const void* args, const QrStep& step) const {
    const QrOp op = {opcode, 0, reinterpret_cast<uint64_t>(args)};
    const int status = submit(device, &op, 1, &step);
    return status != QR_OK ? status : wait(device);
  }
};

QrSampleRow sample_row(int row) {
  QrSampleRow s = {};
  s.row = row;
  s.target = -1;
  s.top_p = s.repetition = 1;
  s.logprobs = -1;
  s.seed = 77;
  s.position = static_cast<uint32_t>(row);
  return s;
}

StepData sampled_step(bool greedy) {
  StepData step = StepData::rows(5);
  for (int row : {4, 0, 2, 2}) step.samples.push_back(sample_row(row));
  if (greedy) return step;
  step.samples[0].temperature = 0.8f;
  step.samples[0].top_p = 0.7f;
  step.samples[1].logprobs = 3;
  step.samples[2].target = 55;
  step.samples[2].logprobs = 0;
  step.samples[3].temperature = 1.3f;
  step.samples[3].top_k = 40;
  step.samples[3].bias_end = 2;
  step.samples[3].count_end = 1;
  step.samples[3].frequency = 0.5f;
  step.bias_token = {3, 9};
  step.bias_value = {4, -INFINITY};
  step.count_token = {3};
  step.count_output = {2};
  return step;
}

bool close(const std::vector<float>& a, const std::vector<float>& b) {
  double most = 0;
  for (size_t i = 0; i < a.size(); i++) most = worse(most, fabs(static_cast<double>(a[i]) - b[i]));
  return most <= 2e-6;
}

void sample_cases_of(Rig& rig, const CpuLibrary& cpu) {
  Random random(12);
  for (int vocab : {1000, 1003}) {
    const std::vector<float> logits = random.normals(static_cast<size_t>(5 * vocab));
    Piece on_device(rig.device, logits);
    for (bool greedy : {true, false}) {
      StepData mine = sampled_step(greedy), theirs = sampled_step(greedy);
      const QrSample op = {on_device.address(), vocab, 0}, host = {reinterpret_cast<uint64_t>(logits.data()), vocab, 0};
      check(rig.run(QR_OP_SAMPLE, 0, &op, mine.view()) == QR_OK, "sample runs");
      check(cpu.run(QR_OP_SAMPLE, &host, theirs.view()) == QR_OK, "sample runs on the CPU");
      check(mine.out_token == theirs.out_token && close(mine.out_logprob, theirs.out_logprob), "samples of %d are the CPU's", vocab);
      check(mine.out_top_token == theirs.out_top_token && close(mine.out_top_logprob, theirs.out_top_logprob), "best of %d are the CPU's", vocab);
    }
  }
}

/// Both libraries draw the same token, or the uniform number lies on a boundary, within 1e-6.
void draws_agree(Rig& rig, const CpuLibrary& cpu, int vocab, int draws) {
  Random random(13);
  std::vector<float> logits = random.normals(static_cast<size_t>(vocab));
  for (float& logit : logits) logit *= 3;
  Piece on_device(rig.device, logits);
  StepData mine = StepData::rows(1);
  for (int i = 0; i < draws; i++) {
    QrSampleRow row = sample_row(0);
    row.temperature = 0.5f + 0.25f * static_cast<float>(i % 5);
    row.top_k = i % 3 == 0 ? 0 : 1 + random.below(i % 2 == 0 ? 50 : vocab);
    row.top_p = i % 4 == 0 ? 1 : 0.05f + 0.0931f * static_cast<float>(i % 11);
    row.min_p = i % 7 == 0 ? 0.01f * static_cast<float>(i % 13) : 0;
    row.seed = static_cast<uint64_t>(i) << 30;
    row.position = static_cast<uint32_t>(i);
    mine.samples.push_back(row);
  }
  StepData theirs = mine;
  const QrSample op = {on_device.address(), vocab, 0}, host = {reinterpret_cast<uint64_t>(logits.data()), vocab, 0};
  check(rig.run(QR_OP_SAMPLE, 0, &op, mine.view()) == QR_OK && cpu.run(QR_OP_SAMPLE, &host, theirs.view()) == QR_OK, "both draw");
  int others = 0;
  for (size_t i = 0; i < static_cast<size_t>(draws); i++) {
    if (mine.out_token[i] == theirs.out_token[i]) continue;
    others++;
    const double error = std::max(wrong_by(logits, mine.samples[i], mine.out_token[i]), wrong_by(logits, mine.samples[i], theirs.out_token[i]));
    check(error <= 1e-6, "draw %d of %d: %d, on the CPU %d", static_cast<int>(i), vocab, mine.out_token[i], theirs.out_token[i]);
  }
  check(others <= draws / 500, "%d of %d draws of %d differ from the CPU's", others, draws, vocab);
  if (getenv("VERBOSE") != nullptr) printf("%d of %d draws of %d differ from the CPU's\n", others, draws, vocab);
}

/// Numbers that no caller of ours gives, and ranges of nothing anywhere: no crash, the best token where a rule leaves none.
void odd_samples(Rig& rig) {
  Random random(14);
  const Piece logits(rig.device, random.normals(300));
  StepData step = StepData::rows(1);
  for (float odd : {0.0f, -1.0f, NAN}) {
    for (int top_k : {-3, 0, 7, 1 << 30}) {
      QrSampleRow row = sample_row(0);
      row.temperature = 1;
      row.top_p = row.min_p = odd;
      row.top_k = top_k;
      row.bias_begin = row.bias_end = row.count_begin = row.count_end = 5;
      step.samples.push_back(row);
    }
  }
  const QrSample op = {logits.address(), 300, 0};
  check(rig.run(QR_OP_SAMPLE, 0, &op, step.view()) == QR_OK, "odd samples run");
  for (size_t i = 0; i < step.samples.size(); i++) check(step.out_token[i] >= 0 && step.out_token[i] < 300, "odd sample %d: %d", static_cast<int>(i), step.out_token[i]);
  for (size_t i = 1; i < 4; i++) check(step.out_token[i] == step.out_token[0], "a top_p of nothing leaves the best");
}

/// Out and in within one step, against what the layout of quire.h says.
void swap_case(Rig& rig) {
  constexpr int kRegions = 3, kBlocks = 5, kHostBlocks = 4, kBytes = 48;
  Random random(13);
  std::vector<uint8_t> before(kRegions * kBlocks * kBytes);
  for (uint8_t& byte : before) byte = static_cast<uint8_t>(random.next());
  Piece cache(rig.device, before);
  uint64_t host = 0;
  check(qr_host_alloc(rig.device, kHostBlocks * kRegions * kBytes, &host) == QR_OK, "host memory");
  uint8_t* stored = reinterpret_cast<uint8_t*>(host);
  for (int i = 0; i < kHostBlocks * kRegions * kBytes; i++) stored[i] = static_cast<uint8_t>(i * 7);
  StepData step = StepData::rows(0);
  step.swaps_out = {1, 2};
  step.swaps_in = {2, 0, 3, 4};
  const QrSwapBlocks op = {cache.address(), kBlocks * kBytes, kBytes, host, kRegions, kHostBlocks};
  check(rig.run(QR_OP_SWAP_BLOCKS, 0, &op, step.view()) == QR_OK, "swap runs");
  std::vector<uint8_t> wanted = before;
  for (int r = 0; r < kRegions; r++) {
    const uint8_t* region = &before[static_cast<size_t>(r * kBlocks * kBytes)];
    check(memcmp(stored + (2 * kRegions + r) * kBytes, region + kBytes, kBytes) == 0, "region %d of the block swapped out", r);
    memcpy(&wanted[static_cast<size_t>(r * kBlocks * kBytes)], region + kBytes, kBytes);
    memcpy(&wanted[static_cast<size_t>((r * kBlocks + 4) * kBytes)], stored + (3 * kRegions + r) * kBytes, kBytes);
  }
  check(cache.read<uint8_t>() == wanted, "blocks swapped in");
  step.swaps_in = {4, 0};
  check(rig.run(QR_OP_SWAP_BLOCKS, 0, &op, step.view()) == QR_INVALID, "a host block beyond the last is refused");
  step.swaps_in.clear();
  step.swaps_out = {5, 0};
  check(rig.run(QR_OP_SWAP_BLOCKS, 0, &op, step.view()) == QR_INVALID, "a block beyond the cache is refused");
  check(qr_host_free(rig.device, host, 1) == QR_INVALID, "host memory of another size is refused");
  check(qr_host_free(rig.device, host, kHostBlocks * kRegions * kBytes) == QR_OK, "host memory is freed");
}

void refused(int status, int wanted, const char* part) {
  char text[512] = "";
  qr_last_error(text, sizeof text);
  check(status == wanted && strstr(text, part) != nullptr, "status %d, wanted %d with \"%s\": \"%s\"", status, wanted, part, text);
}

void refusals(Rig& rig) {
  uint64_t address = 0;
  refused(qr_alloc(12345, 64, &address), QR_INVALID, "not an open device");
  refused(qr_alloc(rig.device, 1ull << 45, &address), QR_NO_MEMORY, "cannot allocate");
  refused(qr_free(rig.device, 4096, 64), QR_INVALID, "not an allocation");
  Piece piece(rig.device, 256);
  uint8_t bytes[512] = {};
  refused(qr_write(rig.device, piece.address(), bytes, 257), QR_INVALID, "not within");
  refused(qr_read(rig.device, bytes, piece.address() + 200, 100), QR_INVALID, "not within");
  refused(qr_wait(rig.device), QR_INVALID, "nothing was submitted");
  refused(qr_packed_bytes(99, 1, 32, &address), QR_UNSUPPORTED, "type 99");
  StepData data = StepData::rows(1);
  const QrStep step = data.view();
  const QrRmsNorm odd = {piece.address(), piece.address(), piece.address(), 12, 1e-5f};
  refused(rig.run(QR_OP_RMS_NORM, 0, &odd, step), QR_UNSUPPORTED, "multiples of 8");
  const QrSample vast = {piece.address(), (1 << 21) + 1, 0};
  refused(rig.run(QR_OP_SAMPLE, 0, &vast, step), QR_UNSUPPORTED, "up to 2097152");
  const QrWeight narrow = {piece.address(), QR_BF16, 32, 64};
  const QrExperts experts = {piece.address(), piece.address(), piece.address(), narrow, narrow, narrow, 2, 1, QR_SILU, 0};
  refused(rig.run(QR_OP_EXPERTS, 0, &experts, step), QR_UNSUPPORTED, "multiples of 64");
  const QrAttention wide = {piece.address(), piece.address(), piece.address(), piece.address(), 1, 1, 64, QR_F32, 16, 0, 1, 0};
  refused(rig.run(QR_OP_ATTENTION, 0, &wide, step), QR_UNSUPPORTED, "a cache of BF16");
  QrAttention codes = wide;
  codes.kv_type = QR_KV_INT8;
  codes.head_dim = 1024;
  refused(rig.run(QR_OP_ATTENTION, 0, &codes, step), QR_INVALID, "attention: bad operand");
  QrCopyBlocks copy = {piece.address(), 128, 64, 1, 0};
  QrRopeKv rope = {piece.address(), piece.address(), 0, 0, piece.address(), piece.address(), piece.address(), 1, 1, 64, 64, QR_KV_FP8, 16, 0, 0};
  const QrOp both[] = {{QR_OP_COPY_BLOCKS, 0, reinterpret_cast<uint64_t>(&copy)}, {QR_OP_ROPE_KV, 0, reinterpret_cast<uint64_t>(&rope)}};
  refused(qr_submit(rig.device, both, 2, &step), QR_INVALID, "a block has 1088 bytes, copy_blocks copies 64");
  refused(rig.run(77, 0, &odd, step), QR_INVALID, "unknown opcode 77");
  QrStep negative = step;
  negative.n_tokens = -1;
  refused(qr_submit(rig.device, nullptr, 0, &negative), QR_INVALID, "negative count");
  check(qr_submit(rig.device, nullptr, 0, &step) == QR_OK, "an empty list runs");
  check(qr_submit(rig.device, nullptr, 0, &step) == QR_OK, "another queues");
  refused(qr_submit(rig.device, nullptr, 0, &step), QR_INVALID, "2 lists are running, no more fit the queue");
  refused(qr_reserve(rig.device, nullptr, 0, &step), QR_INVALID, "a list is running");
  refused(qr_read(rig.device, bytes, piece.address(), 1), QR_INVALID, "a list is running");
  check(qr_wait(rig.device) == QR_OK && qr_wait(rig.device) == QR_OK, "and both end");
}

}  // namespace
}  // namespace conformance

int main(int argc, char** argv) {
  if (argc != 2) return 2;
  setvbuf(stdout, nullptr, _IOLBF, 0);  // what failed is known even where the process does not last
  using namespace conformance;
  check(qr_device_count() > 0, "there is a device");
  {
    Rig rig(QR_ISA_AUTO, 2);
    weight_cases(rig);
    const CpuLibrary cpu(argv[1]);
    sample_cases_of(rig, cpu);
    draws_agree(rig, cpu, 1003, 2000);
    draws_agree(rig, cpu, 128256, 24);
    sample_cases(250);
    odd_samples(rig);
    swap_case(rig);
    model_case(rig);
    refusals(rig);
  }
  group_cases();
  return report();
}
