// Attention with 9 query heads and 3 kv heads of 64, bfloat16 cache: prefill of one prompt, and decode of many sequences:
// attention_bench [flags of lab.h]
#include "ladder.h"
#include "peaks.h"

namespace {

constexpr int kHeads = 9, kKvHeads = 3, kDim = 64, kBlock = 16, kMostTokens = 65536;

struct Bench {
  qr_dev device;
  QrDeviceInfo info;
  double f32_peak;
  std::vector<QrOp> ops;
};

/// `sequences` with `context` positions each, of which the last `queries` are computed.
void run(lab::Ladder& ladder, const Bench& b, int sequences, int context, int queries) {
  std::vector<int32_t> position, start{0}, table, zeros;
  const int stride = (context + kBlock - 1) / kBlock;
  for (int s = 0; s < sequences; s++) {
    for (int i = 0; i < queries; i++) position.push_back(context - queries + i);
    start.push_back(static_cast<int32_t>(position.size()));
    for (int i = 0; i < stride; i++) table.push_back((s * stride + i * 7) % (kMostTokens / kBlock));
  }
  zeros.resize(position.size());
  QrStep step = {};
  step.size = sizeof step;
  step.n_tokens = static_cast<int32_t>(position.size());
  step.n_seqs = sequences;
  step.table_stride = stride;
  step.token = step.slot = zeros.data();
  step.position = position.data();
  step.query_start = start.data();
  step.block_table = table.data();
  double pairs = 0;
  for (int32_t p : position) pairs += p + 1;
  const uint64_t cache = static_cast<uint64_t>(sequences) * static_cast<uint64_t>(context) * kKvHeads * kDim * 4;
  const bool decode = queries == 1;
  ladder.row(b.info, decode ? "decode" : "prefill", std::to_string(sequences) + " x " + std::to_string(context),
             lab::best_time(b.device, b.ops, step), {static_cast<double>(cache), pairs * kHeads * kDim * 4},
             {decode ? lab::read_peak(b.device, cache) : 0, b.f32_peak});
}

}  // namespace

int main(int argc, char** argv) {
  const lab::Options options = lab::options(argc, argv);
  lab::Ladder ladder(options, "Attention: 9 query heads and 3 kv heads of 64, sequences x context");
  for (const std::string& isa : options.isas) {
    const qr_dev device = lab::open(isa, options.threads);
    if (device == 0) continue;
    const uint64_t cache_bytes = static_cast<uint64_t>(kMostTokens) * kKvHeads * kDim * 2, row_bytes = 2048ull * kHeads * kDim * 4;
    uint64_t caches[2], rows[2];
    for (uint64_t& c : caches) {
      c = lab::allocate(device, cache_bytes);
      lab::fill(reinterpret_cast<uint8_t*>(c), cache_bytes, 5);
      for (uint64_t i = 1; i < cache_bytes; i += 2) reinterpret_cast<uint8_t*>(c)[i] &= 0xbb;  // below 2 in magnitude
    }
    for (uint64_t& r : rows) r = lab::allocate(device, row_bytes);
    lab::fill(reinterpret_cast<float*>(rows[0]), row_bytes / 4, 3);
    QrAttention op = {rows[0], rows[1], caches[0], caches[1], kHeads, kKvHeads, kDim, QR_BF16, kBlock, 0, 0.125f, 0.0f};
    const Bench b = {device, lab::info_of(device), lab::f32_peak(device), {{QR_OP_ATTENTION, 0, reinterpret_cast<uint64_t>(&op)}}};
    ladder.peak(b.info, "float32", "registers", {0, b.f32_peak});
    for (int tokens : {160, 512, 2048}) run(ladder, b, 1, tokens, tokens);
    run(ladder, b, 1, 1024, 1);
    run(ladder, b, 8, 512, 1);
    run(ladder, b, 32, 288, 1);
    run(ladder, b, 32, 1024, 1);
    for (uint64_t c : caches) lab::require(qr_free(device, c, cache_bytes));
    for (uint64_t r : rows) lab::require(qr_free(device, r, row_bytes));
    lab::require(qr_device_close(device));
  }
}
