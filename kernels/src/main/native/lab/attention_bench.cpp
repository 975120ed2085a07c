// Attention with 9 query heads and 3 kv heads of 64, caches of each type: prefill of one prompt, and decode of sequences:
// attention_bench [flags of lab.h]
#include "ladder.h"
#include "peaks.h"

namespace {

constexpr int kHeads = 9, kKvHeads = 3, kDim = 64, kBlock = 16, kMostTokens = 65536;

struct Cache {
  const char* name;
  int type, token_bytes;  // of one head
};
constexpr Cache kCaches[] = {{"bf16", QR_BF16, 2 * kDim}, {"int8", QR_KV_INT8, kDim + 4}, {"fp8", QR_KV_FP8, kDim + 4}};

struct Bench {
  qr_dev device;
  QrDeviceInfo info;
  double f32_peak;
  Cache cache;
  std::vector<QrOp> ops;
};

/// Numbers of moderate size in all the blocks.
void fill(uint64_t cache, const Cache& kind) {
  uint8_t* bytes = reinterpret_cast<uint8_t*>(cache);
  const uint64_t size = static_cast<uint64_t>(kMostTokens) * kKvHeads * static_cast<uint64_t>(kind.token_bytes);
  lab::fill(bytes, size, 5);
  if (kind.type == QR_BF16) {
    for (uint64_t i = 1; i < size; i += 2) bytes[i] &= 0xbb;  // below 2 in magnitude
    return;
  }
  const float scale = 1.0f / 64;
  for (uint64_t head = 0; head < size; head += static_cast<uint64_t>(kBlock * kind.token_bytes)) {
    for (uint64_t i = 0; i < kBlock * kDim; i++) bytes[head + i] &= 0xbf;  // below 64, or 2 as E4M3
    for (uint64_t i = 0; i < kBlock; i++) memcpy(bytes + head + kBlock * kDim + 4 * i, &scale, 4);
  }
}

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
  const uint64_t cache = static_cast<uint64_t>(sequences) * static_cast<uint64_t>(context) * kKvHeads * 2 * static_cast<uint64_t>(b.cache.token_bytes);
  const bool decode = queries == 1;
  ladder.row(b.info, std::string(decode ? "decode " : "prefill ") + b.cache.name, std::to_string(sequences) + " x " + std::to_string(context),
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
    for (uint64_t& c : caches) c = lab::allocate(device, cache_bytes);
    for (uint64_t& r : rows) r = lab::allocate(device, row_bytes);
    lab::fill(reinterpret_cast<float*>(rows[0]), row_bytes / 4, 3);
    const double f32_peak = lab::f32_peak(device);
    ladder.peak(lab::info_of(device), "float32", "registers", {0, f32_peak});
    for (const Cache& cache : kCaches) {
      for (uint64_t c : caches) fill(c, cache);
      QrAttention op = {rows[0], rows[1], caches[0], caches[1], kHeads, kKvHeads, kDim, cache.type, kBlock, 0, 0.125f, 0.0f};
      const Bench b = {device, lab::info_of(device), f32_peak, cache, {{QR_OP_ATTENTION, 0, reinterpret_cast<uint64_t>(&op)}}};
      for (int tokens : {160, 512, 2048}) run(ladder, b, 1, tokens, tokens);
      for (int context : {512, 1024, 2048, 8192}) run(ladder, b, 1, context, 1);
      run(ladder, b, 8, 512, 1);
      run(ladder, b, 32, 288, 1);
      run(ladder, b, 32, 1024, 1);
      run(ladder, b, 8, 8192, 1);
    }
    for (uint64_t c : caches) lab::require(qr_free(device, c, cache_bytes));
    for (uint64_t r : rows) lab::require(qr_free(device, r, row_bytes));
    lab::require(qr_device_close(device));
  }
}
