// One pass over all matrices of a 135-million-parameter Llama (30 layers, hidden 576, feed-forward 1536, vocabulary
// 49152) by level, weight type and rows: matmul_bench [flags of lab.h]
#include "ladder.h"
#include "peaks.h"

namespace {

struct Shape {
  int rows, cols, times;
};
constexpr Shape kShapes[] = {{960, 576, 30}, {576, 576, 30}, {3072, 576, 30}, {576, 1536, 30}, {49152, 576, 1}};
constexpr int kMostRows = 512, kMostCols = 1536, kMostOutputs = 49152;

/// A weight type, and the columns and bytes of a block in a file.
struct Type {
  int type;
  const char* name;
  int cols, bytes;
};
constexpr Type kTypes[] = {{QR_F32, "F32", 1, 4},      {QR_F16, "F16", 1, 2},      {QR_BF16, "BF16", 1, 2},    {QR_Q4_0, "Q4_0", 32, 18},
                           {QR_Q4_1, "Q4_1", 32, 20},  {QR_Q5_0, "Q5_0", 32, 22},  {QR_Q5_1, "Q5_1", 32, 24},  {QR_Q8_0, "Q8_0", 32, 34},
                           {QR_Q4_K, "Q4_K", 256, 144}, {QR_Q5_K, "Q5_K", 256, 176}, {QR_Q6_K, "Q6_K", 256, 210}};

const Type& type_of(const std::string& name) {
  for (const Type& type : kTypes) {
    if (name == type.name) return type;
  }
  fprintf(stderr, "no weight type %s\n", name.c_str());
  exit(2);
}

/// File bytes of a matrix: random codes, small scales.
std::vector<uint8_t> matrix(const Type& type, int rows, int cols) {
  std::vector<uint8_t> data(static_cast<size_t>(rows) * static_cast<size_t>(cols) / static_cast<size_t>(type.cols) *
                            static_cast<size_t>(type.bytes));
  lab::fill(data.data(), data.size(), 7);
  for (size_t i = 1; i < data.size(); i += 2) data[i] &= 0x3f;  // no infinite float16
  return data;
}

/// The matrices of the model on a device, and the list of operations that multiplies by each once.
class Pass {
 public:
  uint64_t bytes = 0;
  double parameters = 0;
  std::vector<QrOp> ops;

  Pass(qr_dev device, const Type& type) : device_(device), x_(lab::allocate(device, kXBytes)), out_(lab::allocate(device, kOutBytes)) {
    lab::fill(reinterpret_cast<float*>(x_), kXBytes / 4, 3);
    for (const Shape& shape : kShapes) {
      const std::vector<uint8_t> source = matrix(type, shape.rows, shape.cols);
      for (int i = 0; i < shape.times; i++) add(type.type, shape, source.data());
    }
    for (const QrLinear& op : args_) ops.push_back({QR_OP_LINEAR, 0, reinterpret_cast<uint64_t>(&op)});
  }

  ~Pass() {
    for (const QrLinear& op : args_) lab::require(qr_free(device_, op.parts[0].data, packed_bytes(op.parts[0])));
    lab::require(qr_free(device_, x_, kXBytes));
    lab::require(qr_free(device_, out_, kOutBytes));
  }

  Pass(const Pass&) = delete;
  Pass& operator=(const Pass&) = delete;

 private:
  static constexpr uint64_t kXBytes = kMostRows * kMostCols * 4, kOutBytes = 4ull * kMostRows * kMostOutputs;
  qr_dev device_;
  uint64_t x_, out_;
  std::vector<QrLinear> args_;

  static uint64_t packed_bytes(const QrWeight& weight) {
    uint64_t bytes = 0;
    lab::require(qr_packed_bytes(weight.type, weight.rows, weight.cols, &bytes));
    return bytes;
  }

  void add(int type, const Shape& shape, const uint8_t* source) {
    QrLinear op = {};
    op.x = x_;
    op.out = out_;
    op.n_parts = 1;
    op.in_cols = shape.cols;
    op.out_cols = shape.rows;
    op.parts[0] = {0, type, shape.cols, shape.rows};
    op.parts[0].data = lab::allocate(device_, packed_bytes(op.parts[0]));
    lab::require(qr_pack(device_, type, source, shape.rows, shape.cols, op.parts[0].data));
    args_.push_back(op);
    bytes += packed_bytes(op.parts[0]);
    parameters += static_cast<double>(shape.rows) * shape.cols;
  }
};

void run(lab::Ladder& ladder, qr_dev device, const Type& type) {
  const QrDeviceInfo info = lab::info_of(device);
  const Pass pass(device, type);
  const lab::Peak peak = {lab::read_peak(device, pass.bytes), type.cols > 1 ? lab::int8_peak(device) : lab::f32_peak(device)};
  ladder.peak(info, "read", std::to_string(pass.bytes / 1000000) + " MB", {peak.read, 0});
  ladder.peak(info, type.cols > 1 ? "int8" : "float32", "registers", {0, peak.operations});
  double decode = 0, prefill = 0;
  std::vector<int32_t> zeros(kMostRows);
  for (int rows : {1, 4, 8, 32, 128, 256, 512}) {
    if (info.isa == QR_ISA_SCALAR && rows > 8) break;  // minutes
    QrStep step = {};
    step.size = sizeof step;
    step.n_tokens = rows;
    step.token = step.position = step.slot = zeros.data();
    const lab::Work work = {static_cast<double>(pass.bytes), 2.0 * rows * pass.parameters};
    const lab::Shares shares = ladder.row(info, std::string("linear ") + type.name, "M " + std::to_string(rows),
                                          lab::best_time(device, pass.ops, step), work, peak);
    if (rows == 1) decode = shares.read;
    if (rows == 256) prefill = shares.operations;
  }
  printf("%-7s linear %s: M = 1 reads at %.1f %% of the peak", lab::isa_name(info.isa), type.name, decode * 100);
  if (prefill > 0) printf(", M = 256 computes at %.1f %%", prefill * 100);
  printf(" (goal: 60 %%)\n");
}

}  // namespace

int main(int argc, char** argv) {
  const lab::Options options = lab::options(argc, argv);
  lab::Ladder ladder(options, "Linear: one pass over the matrices of a 135M Llama with M rows");
  for (const std::string& isa : options.isas) {
    const qr_dev device = lab::open(isa, options.threads);
    if (device == 0) continue;
    for (const std::string& type : options.types) run(ladder, device, type_of(type));
    lab::require(qr_device_close(device));
  }
}
