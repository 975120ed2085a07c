// Time of one pass over all matrices of a 135-million-parameter Llama (30 layers, hidden 576, feed-forward 1536,
// vocabulary 49152) by weight type, rows and level: matmul_bench [type [threads [level...]]]
#include <string.h>

#include "lab.h"

namespace {

struct Shape {
  int rows, cols, times;
};
constexpr Shape kShapes[] = {{960, 576, 30}, {576, 576, 30}, {3072, 576, 30}, {576, 1536, 30}, {49152, 576, 1}};
constexpr int kMostRows = 512;

/// File bytes of a matrix: random codes, small scales.
std::vector<uint8_t> matrix(int type, int rows, int cols) {
  const int per = type == QR_F32 || type == QR_F16 || type == QR_BF16 ? 1 : type < QR_Q4_K ? 32 : 256;
  const int bytes = type == QR_F32    ? 4
                    : per == 1        ? 2
                    : type == QR_Q4_0 ? 18
                    : type == QR_Q4_1 ? 20
                    : type == QR_Q8_0 ? 34
                    : type == QR_Q5_0 ? 22
                    : type == QR_Q5_1 ? 24
                    : type == QR_Q4_K ? 144
                    : type == QR_Q5_K ? 176
                                      : 210;
  std::vector<uint8_t> data(static_cast<size_t>(rows) * static_cast<size_t>(cols) / static_cast<size_t>(per) *
                            static_cast<size_t>(bytes));
  lab::fill(data.data(), data.size(), 7);
  for (size_t i = 1; i < data.size(); i += 2) data[i] &= 0x3f;  // no infinite float16
  return data;
}

struct Pass {
  std::vector<QrLinear> args;
  std::vector<QrOp> ops;
  uint64_t bytes = 0;
};

void build(Pass& pass, qr_dev device, int type, uint64_t x, uint64_t out) {
  for (const Shape& shape : kShapes) {
    const std::vector<uint8_t> source = matrix(type, shape.rows, shape.cols);
    for (int i = 0; i < shape.times; i++) {
      uint64_t bytes = 0;
      lab::require(qr_packed_bytes(type, shape.rows, shape.cols, &bytes));
      QrLinear op = {};
      op.x = x;
      op.out = out;
      op.n_parts = 1;
      op.in_cols = shape.cols;
      op.out_cols = shape.rows;
      op.parts[0] = {lab::allocate(device, bytes), type, shape.cols, shape.rows};
      lab::require(qr_pack(device, type, source.data(), shape.rows, shape.cols, op.parts[0].data));
      pass.args.push_back(op);
      pass.bytes += bytes;
    }
  }
  for (const QrLinear& op : pass.args) pass.ops.push_back({QR_OP_LINEAR, 0, reinterpret_cast<uint64_t>(&op)});
}

}  // namespace

int main(int argc, char** argv) {
  const int type = argc > 1 ? atoi(argv[1]) : QR_Q4_1, threads = argc > 2 ? atoi(argv[2]) : 0;
  for (int isa : {QR_ISA_AVX512, QR_ISA_AVX2, QR_ISA_SCALAR}) {
    bool wanted = argc <= 3;
    for (int i = 3; i < argc; i++) wanted = wanted || strcmp(argv[i], lab::isa_name(isa)) == 0;
    const qr_dev device = wanted ? lab::open(isa, threads) : 0;
    if (device == 0) continue;
    const uint64_t x = lab::allocate(device, kMostRows * 1536 * 4), out = lab::allocate(device, kMostRows * 49152ull * 4);
    lab::fill(reinterpret_cast<float*>(x), kMostRows * 1536, 3);
    Pass pass;
    build(pass, device, type, x, out);
    std::vector<int32_t> zeros(kMostRows);
    for (int rows : {1, 2, 4, 8, 16, 32, 128, 512}) {
      if (isa == QR_ISA_SCALAR && rows > 8) break;
      QrStep step = {};
      step.size = sizeof step;
      step.n_tokens = rows;
      step.token = step.position = step.slot = zeros.data();
      const lab::Times time = lab::best_time(device, pass.ops, step);
      printf("%-7s type %2d  M %3d  %8.2f ms/pass (%8.2f ms of processor)  %7.0f rows/s  %5.1f GB/s\n",
             lab::isa_name(isa), type, rows, time.wall * 1e3, time.processor * 1e3, rows / time.wall,
             static_cast<double>(pass.bytes) / time.wall / 1e9);
      fflush(stdout);
    }
    for (const QrLinear& op : pass.args) {
      uint64_t bytes = 0;
      lab::require(qr_packed_bytes(type, op.parts[0].rows, op.in_cols, &bytes));
      lab::require(qr_free(device, op.parts[0].data, bytes));
    }
    lab::require(qr_free(device, x, kMostRows * 1536 * 4));
    lab::require(qr_free(device, out, kMostRows * 49152ull * 4));
    lab::require(qr_device_close(device));
  }
}
