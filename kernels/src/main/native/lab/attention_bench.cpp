// Speed of attention with 9 query heads and 3 kv heads of 64, float16 cache: prefill of one prompt, and decode of many
// sequences: attention_bench [threads [level...]]
#include <string.h>

#include "lab.h"

namespace {

constexpr int kHeads = 9, kKvHeads = 3, kDim = 64, kBlock = 16, kMostTokens = 65536;

struct Bench {
  qr_dev device;
  QrAttention op;
  std::vector<QrOp> ops;
};

/// `sequences` with `context` positions each, of which the last `queries` are computed.
void run(Bench& b, int isa, int sequences, int context, int queries) {
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
  const lab::Times time = lab::best_time(b.device, b.ops, step);
  double pairs = 0;
  for (int32_t p : position) pairs += p + 1;
  printf("%-7s %2d sequences, context %4d, %4d queries each: %8.3f ms (%8.3f ms of processor)  %6.1f GFLOP/s  %5.1f GB/s of cache\n", lab::isa_name(isa),
         sequences, context, queries, time.wall * 1e3, time.processor * 1e3, pairs * kHeads * kDim * 4 / time.wall / 1e9,
         static_cast<double>(sequences) * context * kKvHeads * kDim * 4 / time.wall / 1e9);
}

}  // namespace

int main(int argc, char** argv) {
  const int threads = argc > 1 ? atoi(argv[1]) : 0;
  for (int isa : {QR_ISA_AVX512, QR_ISA_AVX2, QR_ISA_SCALAR}) {
    bool wanted = argc <= 2;
    for (int i = 2; i < argc; i++) wanted = wanted || strcmp(argv[i], lab::isa_name(isa)) == 0;
    Bench b = {wanted ? lab::open(isa, threads) : 0, {}, {}};
    if (b.device == 0) continue;
    const uint64_t cache_bytes = static_cast<uint64_t>(kMostTokens) * kKvHeads * kDim * 2, row_bytes = 2048ull * kHeads * kDim * 4;
    uint64_t caches[2], rows[2];
    for (uint64_t& c : caches) {
      c = lab::allocate(b.device, cache_bytes);
      lab::fill(reinterpret_cast<uint8_t*>(c), cache_bytes, 5);
      for (uint64_t i = 1; i < cache_bytes; i += 2) reinterpret_cast<uint8_t*>(c)[i] &= 0xbb;  // below 2 in magnitude
    }
    for (uint64_t& r : rows) r = lab::allocate(b.device, row_bytes);
    lab::fill(reinterpret_cast<float*>(rows[0]), row_bytes / 4, 3);
    b.op = {rows[0], rows[1], caches[0], caches[1], kHeads, kKvHeads, kDim, QR_F16, kBlock, 0, 0.125f, 0.0f};
    b.ops = {{QR_OP_ATTENTION, 0, reinterpret_cast<uint64_t>(&b.op)}};
    run(b, isa, 1, 160, 160);
    run(b, isa, 1, 512, 512);
    run(b, isa, 1, 2048, 2048);
    run(b, isa, 1, 1024, 1);
    run(b, isa, 8, 512, 1);
    run(b, isa, 32, 288, 1);
    run(b, isa, 32, 1024, 1);
    for (uint64_t c : caches) lab::require(qr_free(b.device, c, cache_bytes));
    for (uint64_t r : rows) lab::require(qr_free(b.device, r, row_bytes));
    lab::require(qr_device_close(b.device));
  }
}
