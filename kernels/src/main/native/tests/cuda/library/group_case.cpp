// Two GPUs as the ranks of a group, a thread each: collectives against sums and copies by hand, and what ends a group.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <memory>
#include <thread>

#include "device.h"

namespace conformance {
namespace {

constexpr int kRanks = 2, kRows = 3, kCols = 40;

void refused(int status, int wanted, const char* part) {
  char text[512] = "";
  qr_last_error(text, sizeof text);
  check(status == wanted && strstr(text, part) != nullptr, "status %d, wanted %d with \"%s\": \"%s\"", status, wanted, part, text);
}

QrDeviceOpts options() { return {sizeof(QrDeviceOpts), 2, QR_ISA_AUTO, 0}; }

class Ranks {
 public:
  Ranks() {
    const QrDeviceOpts opts = options();
    check(qr_group_open(&opts, kRanks, devices) == QR_OK, "two ranks open");
  }
  Ranks(const Ranks&) = delete;
  ~Ranks() {
    for (qr_dev device : devices) check(qr_device_close(device) == QR_OK, "a rank closes");
  }
  qr_dev devices[kRanks] = {};

  /// Runs ops[r] on rank r, all at once; false when one fails.
  bool run(const QrOp* ops, const QrStep& step) const {
    int status[kRanks];
    std::vector<std::thread> threads;
    for (int r = 0; r < kRanks; r++) {
      threads.emplace_back([&, r] {
        status[r] = qr_submit(devices[r], &ops[r], 1, &step);
        if (status[r] == QR_OK) status[r] = qr_wait(devices[r]);
      });
    }
    bool fine = true;
    for (int r = 0; r < kRanks; r++) {
      threads[static_cast<size_t>(r)].join();
      fine = fine && status[r] == QR_OK;
    }
    return fine;
  }
};

void reduce_case(const Ranks& ranks, Random& random) {
  StepData data = StepData::rows(kRows);
  std::vector<std::vector<uint16_t>> values;
  std::vector<std::unique_ptr<Piece>> x;
  QrAllReduce args[kRanks];
  QrOp ops[kRanks];
  for (int r = 0; r < kRanks; r++) {
    values.push_back(bf16_of(random.normals((kRows + 1) * kCols)));
    x.push_back(std::make_unique<Piece>(ranks.devices[r], values.back()));
    args[r] = {x.back()->address(), kCols, 0};
    ops[r] = {QR_OP_ALL_REDUCE, 0, reinterpret_cast<uint64_t>(&args[r])};
  }
  check(ranks.run(ops, data.view()), "all_reduce runs");
  std::vector<double> wanted;
  for (size_t i = 0; i < kRows * kCols; i++) wanted.push_back(quire::bf16_to_float(values[0][i]) + quire::bf16_to_float(values[1][i]));
  const std::vector<uint16_t> first = x[0]->read<uint16_t>(), second = x[1]->read<uint16_t>();
  const double error = distance(floats_of(first, wanted.size()), wanted);
  check(error < 4e-3, "all_reduce: error %g", error);
  check(memcmp(first.data(), second.data(), wanted.size() * 2) == 0, "all_reduce gives all ranks the same");
  check(memcmp(&first[wanted.size()], &values[0][wanted.size()], kCols * 2) == 0, "all_reduce leaves the row behind alone");
}

/// Of all columns but the last few, wanted by the first rank alone.
void gather_case(const Ranks& ranks, Random& random) {
  constexpr int kWanted = kRanks * kCols - 3;
  StepData data = StepData::rows(kRows);
  std::vector<std::vector<float>> values;
  std::vector<std::unique_ptr<Piece>> x;
  const Piece out(ranks.devices[0], kRows * kWanted * sizeof(float));
  QrAllGather args[kRanks];
  QrOp ops[kRanks];
  for (int r = 0; r < kRanks; r++) {
    values.push_back(random.normals(kRows * kCols));
    x.push_back(std::make_unique<Piece>(ranks.devices[r], values.back()));
    args[r] = {x.back()->address(), r == 0 ? out.address() : 0, kCols, kWanted};
    ops[r] = {QR_OP_ALL_GATHER, QR_ROWS_LOGITS, reinterpret_cast<uint64_t>(&args[r])};
  }
  check(ranks.run(ops, data.view()), "all_gather runs");
  const std::vector<float> got = out.read<float>();
  bool same = true;
  for (int i = 0; i < kRows * kWanted; i++) {
    const int row = i / kWanted, column = i % kWanted;
    same = same && got[static_cast<size_t>(i)] == values[static_cast<size_t>(column / kCols)][static_cast<size_t>(row * kCols + column % kCols)];
  }
  check(same, "all_gather puts the ranks' columns side by side");
}

/// A rank whose list never comes leaves nobody waiting.
void abort_case() {
  const Ranks ranks;
  StepData data = StepData::rows(1);
  const QrStep step = data.view();
  Piece x(ranks.devices[0], kCols * 4);
  const QrAllReduce args = {x.address(), kCols, 0};
  const QrOp op = {QR_OP_ALL_REDUCE, 0, reinterpret_cast<uint64_t>(&args)};
  int status = QR_OK;
  std::thread alone([&] {
    status = qr_submit(ranks.devices[0], &op, 1, &step);
    if (status == QR_OK) status = qr_wait(ranks.devices[0]);
  });
  usleep(50000);
  check(qr_group_abort(ranks.devices[1]) == QR_OK, "abort");
  alone.join();
  check(status == QR_FAULT, "the rank that waits is told");
  refused(qr_submit(ranks.devices[0], &op, 1, &step), QR_FAULT, "rank 0 of 2: the group was ended");
}

void refusals() {
  const QrDeviceOpts opts = options();
  qr_dev devices[QR_MAX_RANKS];
  refused(qr_group_open(&opts, 0, devices), QR_INVALID, "allowed are 1 to 64");
  refused(qr_group_open(&opts, QR_MAX_RANKS, devices), QR_UNSUPPORTED, "64 ranks, but this process sees");
  Rig rig(QR_ISA_AUTO, 1);
  const QrAllReduce reduce = {4096, 8, 0};
  StepData data = StepData::rows(1);
  refused(rig.run(QR_OP_ALL_REDUCE, 0, &reduce, data.view()), QR_INVALID, "no rank of a group");
  refused(qr_group_abort(rig.device), QR_INVALID, "no rank of a group");
  const char* given = getenv("QR_NCCL");
  const std::string path = given == nullptr ? "" : given;
  setenv("QR_NCCL", "/nowhere/libnccl.so.2", 1);
  refused(qr_group_open(&opts, kRanks, devices), QR_UNSUPPORTED, "several GPUs need NCCL, and it cannot be loaded");
  path.empty() ? unsetenv("QR_NCCL") : setenv("QR_NCCL", path.c_str(), 1);
}

}  // namespace

void group_cases() {
  if (qr_device_count() < kRanks) {
    printf("one GPU: the cases of two are left out\n");
    return;
  }
  {
    Random random(41);
    const Ranks ranks;
    for (int i = 0; i < 20; i++) reduce_case(ranks, random);
    gather_case(ranks, random);
  }
  abort_case();
  refusals();
}

}  // namespace conformance
