// Collectives between the ranks of a group, against sums and copies by hand; what ends a group.
#include <string.h>
#include <unistd.h>

#include <algorithm>
#include <memory>
#include <thread>

#include "harness.h"

namespace conformance {
namespace {

/// The devices of a group, one list of one operation each.
class Ranks {
 public:
  Ranks(const Setup& setup, int ranks) : devices_(static_cast<size_t>(ranks)) {
    const QrDeviceOpts opts = {sizeof(QrDeviceOpts), setup.threads * ranks, setup.isa, 0};
    check(qr_group_open(&opts, ranks, devices_.data()) == QR_OK, "open %d ranks", ranks);
  }
  Ranks(const Ranks&) = delete;
  ~Ranks() {
    for (qr_dev device : devices_) check(qr_device_close(device) == QR_OK, "close a rank");
  }
  size_t count() const { return devices_.size(); }
  qr_dev device(size_t rank) const { return devices_[rank]; }

  /// Starts an operation on one rank; args and step stay as they are until wait.
  int submit(size_t rank, const QrOp& op, const QrStep& step) const { return qr_submit(devices_[rank], &op, 1, &step); }
  int wait(size_t rank) const { return qr_wait(devices_[rank]); }

 private:
  std::vector<qr_dev> devices_;
};

/// Runs an operation on all ranks at once; the number of ranks on which it failed.
template <class Args>
int run_all(const Ranks& ranks, int opcode, int flags, const std::vector<Args>& args, const QrStep& step) {
  std::vector<QrOp> ops;
  for (const Args& a : args) ops.push_back({opcode, flags, reinterpret_cast<uint64_t>(&a)});
  int failed = 0;
  std::vector<int> started;
  for (size_t r = 0; r < ranks.count(); r++) started.push_back(ranks.submit(r, ops[r], step));
  for (size_t r = 0; r < ranks.count(); r++) failed += started[r] != QR_OK || ranks.wait(r) != QR_OK;
  return failed;
}

void reduce_case(const Ranks& ranks, int tokens, int logits, int cols, int flags, Random& random) {
  StepData data = StepData::rows(tokens);
  data.logits_row.resize(static_cast<size_t>(logits));
  const QrStep step = data.view();
  const size_t rows = static_cast<size_t>(flags != 0 ? logits : tokens), n = rows * static_cast<size_t>(cols);
  std::vector<std::vector<float>> before;
  std::vector<std::unique_ptr<Floats>> x;
  std::vector<QrAllReduce> args;
  for (size_t r = 0; r < ranks.count(); r++) {
    before.push_back(random.normals(n));
    x.push_back(std::make_unique<Floats>(before.back()));
    args.push_back({x.back()->address(), cols, 0});
  }
  check(run_all(ranks, QR_OP_ALL_REDUCE, flags, args, step) == 0, "all_reduce runs");
  bool same = true;
  for (size_t i = 0; i < n; i++) {
    float sum = before[0][i];
    for (size_t r = 1; r < ranks.count(); r++) sum += before[r][i];
    for (const auto& values : x) same = same && memcmp(values->data() + i, &sum, sizeof sum) == 0;
  }
  check(same, "all_reduce of %d x %d over %d ranks is the sum in order, on each", static_cast<int>(rows), cols,
        static_cast<int>(ranks.count()));
  for (const auto& values : x) check(values->guarded(), "all_reduce stays within its rows");
}

void gather_case(const Ranks& ranks, int rows, int cols, int out_cols, Random& random) {
  StepData data = StepData::rows(rows);
  const QrStep step = data.view();
  std::vector<std::unique_ptr<Floats>> x, out;
  std::vector<QrAllGather> args;
  for (size_t r = 0; r < ranks.count(); r++) {
    x.push_back(std::make_unique<Floats>(random.normals(static_cast<size_t>(rows * cols))));
    out.push_back(std::make_unique<Floats>(static_cast<size_t>(rows * out_cols)));
    args.push_back({x[r]->address(), r == 1 ? 0 : out[r]->address(), cols, out_cols});
  }
  check(run_all(ranks, QR_OP_ALL_GATHER, QR_ROWS_LOGITS, args, step) == 0, "all_gather runs");
  bool same = true;
  for (size_t r = 0; r < ranks.count(); r++) {
    for (int i = 0; r != 1 && i < rows * out_cols; i++) {
      const int column = i % out_cols;
      same = same && out[r]->data()[i] == x[static_cast<size_t>(column / cols)]->data()[i / out_cols * cols + column % cols];
    }
    check(out[r]->guarded(), "all_gather stays within its rows");
  }
  check(same, "all_gather of %d x %d to %d columns", rows, cols, out_cols);
}

/// What a rank does behind a collective must not reach others that are still in it.
void chain_case(const Ranks& ranks, Random& random) {
  constexpr int kRows = 40, kCols = 512;
  StepData data = StepData::rows(kRows);
  const QrStep step = data.view();
  const int out_cols = kCols * static_cast<int>(ranks.count());
  Floats weight(random.normals(kCols));
  std::vector<std::unique_ptr<Floats>> x, before, out;
  std::vector<QrAllGather> gathers(ranks.count());
  std::vector<QrRmsNorm> norms(ranks.count());
  std::vector<std::vector<QrOp>> lists;
  for (size_t r = 0; r < ranks.count(); r++) {
    const std::vector<float> values = random.normals(kRows * kCols);
    x.push_back(std::make_unique<Floats>(values));
    before.push_back(std::make_unique<Floats>(values));
    out.push_back(std::make_unique<Floats>(static_cast<size_t>(kRows * out_cols)));
    gathers[r] = {x[r]->address(), out[r]->address(), kCols, out_cols};
    norms[r] = {x[r]->address(), x[r]->address(), weight.address(), kCols, 1e-5f};
    lists.push_back({{QR_OP_ALL_GATHER, 0, reinterpret_cast<uint64_t>(&gathers[r])}, {QR_OP_RMS_NORM, 0, reinterpret_cast<uint64_t>(&norms[r])}});
  }
  for (size_t r = 0; r < ranks.count(); r++) check(qr_submit(ranks.device(r), lists[r].data(), 2, &step) == QR_OK, "a list starts");
  for (size_t r = 0; r < ranks.count(); r++) check(ranks.wait(r) == QR_OK, "a list ends");
  bool same = true;
  for (const auto& gathered : out) {
    for (int i = 0; i < kRows * out_cols; i++) {
      const int column = i % out_cols;
      same = same && gathered->data()[i] == before[static_cast<size_t>(column / kCols)]->data()[i / out_cols * kCols + column % kCols];
    }
  }
  check(same, "all_gather of what the next operation changes");
}

void collectives(const Setup& setup, int count) {
  Random random(31);
  const Ranks ranks(setup, count);
  for (int cols : {1, 15, 64, 576, 1000}) reduce_case(ranks, 3, 1, cols, 0, random);
  reduce_case(ranks, 1, 1, 4096, 0, random);
  reduce_case(ranks, 9, 4, 100, QR_ROWS_LOGITS, random);
  reduce_case(ranks, 9, 0, 100, QR_ROWS_LOGITS, random);
  for (int rows : {0, 1, 5}) gather_case(ranks, rows, 24, 24 * count, random);
  gather_case(ranks, 4, 24, 24 * count - 17, random);
  for (int i = 0; i < 20; i++) chain_case(ranks, random);
  // Many steps in a row: a rank may be ahead by no more than one meeting.
  for (int i = 0; i < 200; i++) reduce_case(ranks, 1 + i % 3, 1, 40, 0, random);
}

void refused(int status, int wanted, const char* part) {
  char text[512] = "";
  qr_last_error(text, sizeof text);
  check(status == wanted && strstr(text, part) != nullptr, "status %d, wanted %d with \"%s\": \"%s\"", status, wanted, part, text);
}

void refusals() {
  QrDeviceOpts opts = {sizeof(QrDeviceOpts), 2, QR_ISA_AUTO, 0};
  qr_dev devices[QR_MAX_RANKS];
  refused(qr_group_open(&opts, 0, devices), QR_INVALID, "allowed are 1 to 64");
  refused(qr_group_open(&opts, QR_MAX_RANKS + 1, devices), QR_INVALID, "allowed are 1 to 64");
  refused(qr_group_open(&opts, 2, nullptr), QR_INVALID, "bad argument");
  Floats x(64), out(64);
  StepData data = StepData::rows(1);
  const QrStep step = data.view();
  const QrAllReduce reduce = {x.address(), 16, 0};
  Rig alone(QR_ISA_AUTO, 1);
  refused(alone.run(QR_OP_ALL_REDUCE, 0, &reduce, step), QR_INVALID, "no rank of a group");
  refused(qr_group_abort(alone.device), QR_INVALID, "no rank of a group");
  const Ranks ranks({QR_ISA_AUTO, 1}, 2);
  const QrAllGather wide = {x.address(), out.address(), 16, 33};
  refused(ranks.submit(0, {QR_OP_ALL_GATHER, 0, reinterpret_cast<uint64_t>(&wide)}, step), QR_INVALID, "more than the ranks have");
  const QrAllReduce empty = {x.address(), 0, 0};
  refused(ranks.submit(0, {QR_OP_ALL_REDUCE, 0, reinterpret_cast<uint64_t>(&empty)}, step), QR_INVALID, "bad operand");
  QrDeviceInfo info = {};
  info.size = sizeof info;
  int threads = 0;
  const Ranks uneven({QR_ISA_AUTO, 1}, 3);
  for (size_t r = 0; r < 3; r++) threads += qr_device_info(uneven.device(r), &info) == QR_OK ? info.threads : 99;
  check(threads == 3, "threads are dealt out");
}

/// Ranks that do not do the same end their group instead of summing up what does not belong together.
void different_lists(const Setup& setup) {
  const Ranks ranks(setup, 2);
  Floats x(std::vector<float>(64, 1)), y(std::vector<float>(64, 1));
  StepData data = StepData::rows(1);
  const QrStep step = data.view();
  check(run_all<QrAllReduce>(ranks, QR_OP_ALL_REDUCE, 0, {{x.address(), 16, 0}, {y.address(), 32, 0}}, step) == 2,
        "ranks with different columns both fail");
  refused(ranks.submit(0, {QR_OP_ALL_REDUCE, 0, 0}, step), QR_FAULT, "rank 0 of 2");
}

/// A rank whose list never comes leaves nobody waiting.
void abort_case(const Setup& setup, bool close) {
  Floats x(std::vector<float>(64, 1));
  StepData data = StepData::rows(1);
  const QrStep step = data.view();
  const QrAllReduce reduce = {x.address(), 16, 0};
  const QrOp op = {QR_OP_ALL_REDUCE, 0, reinterpret_cast<uint64_t>(&reduce)};
  const QrDeviceOpts opts = {sizeof(QrDeviceOpts), 2 * setup.threads, setup.isa, 0};
  qr_dev devices[2];
  check(qr_group_open(&opts, 2, devices) == QR_OK, "open two ranks");
  check(qr_submit(devices[0], &op, 1, &step) == QR_OK, "one rank starts");
  int waited = QR_OK;
  std::thread waiting([&] { waited = qr_wait(devices[0]); });
  usleep(20000);
  if (!close) check(qr_group_abort(devices[1]) == QR_OK, "abort");
  check(!close || qr_device_close(devices[1]) == QR_OK, "close of the other");
  waiting.join();
  check(waited == QR_FAULT, "the rank that waits is told");
  check(qr_submit(devices[0], &op, 1, &step) == QR_FAULT, "and starts nothing more");
  check(qr_device_close(devices[0]) == QR_OK && (close || qr_device_close(devices[1]) == QR_OK), "close after an abort");
}

}  // namespace

void group_cases() {
  for (const Setup& setup : setups()) {
    for (int ranks : {2, 3}) collectives(setup, ranks);
  }
  collectives(setups().front(), 1);
  refusals();
  for (const Setup& setup : {setups().front(), setups().back()}) {
    different_lists(setup);
    for (bool close : {false, true}) abort_case(setup, close);
  }
}

}  // namespace conformance
