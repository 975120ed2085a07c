// Whole steps of a 135-million-parameter Llama (30 layers, hidden 576, 9 query heads and 3 kv heads of 64, feed-forward 1536,
// vocabulary 49152 in Q8_0) with a bfloat16 cache: sequences that generate, each with its own context, guesses behind the
// last token of each, and the tokens of one prompt beside them: step_bench [flags of lab.h]
#include "ladder.h"

namespace {

constexpr int kLayers = 30, kHidden = 576, kHeads = 9, kKvHeads = 3, kDim = 64, kInner = 1536, kVocab = 49152;
constexpr int kBlock = 16, kBlocks = 1024, kMostTokens = 512, kMostRows = 256, kQkv = (kHeads + 2 * kKvHeads) * kDim;

class Model {
 public:
  std::vector<QrOp> ops;

  Model(qr_dev device, int type, int file_cols, int file_bytes) : device_(device) {
    const uint64_t x = rows(kHidden), norm = rows(kHidden), qkv = rows(kQkv), q = rows(kHidden), attended = rows(kHidden),
                   gate_up = rows(2 * kInner), gated = rows(kInner), last = rows(kHidden), logits = room(4ull * kMostRows * kVocab);
    const uint64_t ones = room(4 * kInner), angles = room(4ull * 2048 * kDim);
    lab::fill(reinterpret_cast<float*>(x), kMostTokens * kHidden, 3);
    lab::fill(reinterpret_cast<float*>(ones), kInner, 4);
    lab::fill(reinterpret_cast<float*>(angles), 2048 * kDim, 5);
    const auto weight = [&](int of, int cols, int bytes, int rows, int in) {
      const std::vector<uint8_t> file = random(static_cast<size_t>(rows) * static_cast<size_t>(in / cols * bytes));
      uint64_t packed = 0;
      lab::require(qr_packed_bytes(of, rows, in, &packed));
      const QrWeight w = {room(packed), of, in, rows};
      lab::require(qr_pack(device, of, file.data(), rows, in, w.data));
      return w;
    };
    const auto quantised = [&](int rows, int in) { return weight(type, file_cols, file_bytes, rows, in); };
    const auto linear = [&](uint64_t in, uint64_t out, std::vector<QrWeight> parts, int flags) {
      QrLinear op = {};
      op.x = in;
      op.out = out;
      op.n_parts = static_cast<int32_t>(parts.size());
      op.in_cols = parts[0].cols;
      for (size_t p = 0; p < parts.size(); p++) {
        op.parts[p] = parts[p];
        op.out_cols += static_cast<int32_t>(parts[p].rows);
      }
      add(QR_OP_LINEAR, flags, op);
    };
    for (int layer = 0; layer < kLayers; layer++) {
      const uint64_t bytes = 2ull * kBlocks * kBlock * kKvHeads * kDim, keys = room(bytes), values = room(bytes);
      add(QR_OP_RMS_NORM, 0, QrRmsNorm{x, norm, ones, kHidden, 1e-5f});
      linear(norm, qkv, {quantised(kHeads * kDim, kHidden), quantised(kKvHeads * kDim, kHidden), quantised(kKvHeads * kDim, kHidden)}, 0);
      add(QR_OP_ROPE_KV, 0, QrRopeKv{qkv, q, 0, 0, angles, keys, values, kHeads, kKvHeads, kDim, kDim, QR_BF16, kBlock, 1e-5f, 0});
      add(QR_OP_ATTENTION, 0, QrAttention{q, attended, keys, values, kHeads, kKvHeads, kDim, QR_BF16, kBlock, 0, 0.125f, 0});
      linear(attended, x, {quantised(kHidden, kHidden)}, QR_ADD);
      add(QR_OP_RMS_NORM, 0, QrRmsNorm{x, norm, ones, kHidden, 1e-5f});
      linear(norm, gate_up, {quantised(kInner, kHidden), quantised(kInner, kHidden)}, 0);
      add(QR_OP_GATED, 0, QrGated{gate_up, gated, kInner, QR_SILU});
      linear(gated, x, {quantised(kHidden, kInner)}, QR_ADD);
    }
    add(QR_OP_GATHER_ROWS, 0, QrGatherRows{x, last, kHidden, 0});
    add(QR_OP_RMS_NORM, QR_ROWS_LOGITS, QrRmsNorm{last, last, ones, kHidden, 1e-5f});
    linear(last, logits, {weight(QR_Q8_0, 32, 34, kVocab, kHidden)}, QR_ROWS_LOGITS);
    for (size_t i = 0; i < ops.size(); i++) ops[i].args = reinterpret_cast<uint64_t>(args_[i].data());
  }

  ~Model() {
    for (const Room& r : rooms_) lab::require(qr_free(device_, r.address, r.bytes));
  }

  Model(const Model&) = delete;
  Model& operator=(const Model&) = delete;

 private:
  struct Room {
    uint64_t address, bytes;
  };
  qr_dev device_;
  std::vector<Room> rooms_;
  std::vector<std::vector<uint64_t>> args_;

  uint64_t room(uint64_t bytes) {
    rooms_.push_back({lab::allocate(device_, bytes), bytes});
    return rooms_.back().address;
  }

  uint64_t rows(int cols) { return room(4ull * kMostTokens * static_cast<uint64_t>(cols)); }

  /// File bytes with small scales: no infinite float16.
  static std::vector<uint8_t> random(size_t bytes) {
    std::vector<uint8_t> data(bytes);
    lab::fill(data.data(), bytes, 7);
    for (size_t i = 1; i < bytes; i += 2) data[i] &= 0x1f;
    return data;
  }

  template <class Args>
  void add(int opcode, int flags, const Args& args) {
    std::vector<uint64_t> copy((sizeof args + 7) / 8);
    memcpy(copy.data(), &args, sizeof args);
    args_.push_back(std::move(copy));
    ops.push_back({opcode, flags, 0});
  }
};

/// `sequences` with `context` positions that compute the last 1 + `guesses`, and one that computes all of its `prompt` tokens.
void run(lab::Ladder& ladder, qr_dev device, const Model& model, int sequences, int context, int guesses, int prompt) {
  std::vector<int32_t> position, slot, start{0}, table, logits, zeros(kMostTokens);
  const int stride = (std::max(context, prompt) + kBlock - 1) / kBlock;
  for (int s = 0; s < sequences + (prompt > 0 ? 1 : 0); s++) {
    for (int i = 0; i < stride; i++) table.push_back((s * stride + i) * 1237 % kBlocks);  // anywhere
    for (int p = s < sequences ? context - 1 - guesses : 0; p < (s < sequences ? context : prompt); p++) {
      if (s < sequences) logits.push_back(static_cast<int32_t>(position.size()));
      position.push_back(p);
      slot.push_back(table[static_cast<size_t>(s * stride + p / kBlock)] * kBlock + p % kBlock);
    }
    start.push_back(static_cast<int32_t>(position.size()));
  }
  QrStep step = {};
  step.size = sizeof step;
  step.n_tokens = static_cast<int32_t>(position.size());
  step.n_seqs = static_cast<int32_t>(start.size()) - 1;
  step.n_logits = static_cast<int32_t>(logits.size());
  step.table_stride = stride;
  step.token = zeros.data();
  step.position = position.data();
  step.slot = slot.data();
  step.query_start = start.data();
  step.block_table = table.data();
  step.logits_row = logits.data();
  const double linear = 2.0 * (106.2e6 * step.n_tokens + 28.3e6 * step.n_logits);
  const lab::Times time = lab::best_time(device, model.ops, step);
  const std::string shape = std::to_string(sequences) + " x " + std::to_string(context) + " + " + std::to_string(prompt);
  ladder.row(lab::info_of(device), guesses > 0 ? "step, " + std::to_string(guesses) + " guessed" : "step", shape, time,
             {0, linear}, {0, 0});
}

}  // namespace

int main(int argc, char** argv) {
  const lab::Options options = lab::options(argc, argv);
  lab::Ladder ladder(options, "Steps of a 135M Llama: sequences x context + tokens of a prompt (operations: those of its matrices)");
  for (const std::string& isa : options.isas) {
    const qr_dev device = lab::open(isa, options.threads);
    if (device == 0) continue;
    if (isa != "scalar") {  // minutes
      const Model model(device, QR_Q4_1, 32, 20);
      run(ladder, device, model, 1, 512, 0, 0);
      run(ladder, device, model, 1, 512, 7, 0);
      run(ladder, device, model, 8, 288, 0, 0);
      run(ladder, device, model, 32, 288, 0, 0);
      run(ladder, device, model, 30, 288, 0, 66);
      run(ladder, device, model, 64, 192, 0, 0);
      run(ladder, device, model, 64, 192, 2, 0);
      run(ladder, device, model, 0, 16, 0, 512);
    }
    lab::require(qr_device_close(device));
  }
}
