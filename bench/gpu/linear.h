// A dense product by whichever is fastest for its shape: cuBLASLt's first eight heuristics and our own kernels.
#ifndef QUIRE_BENCH_LINEAR_H
#define QUIRE_BENCH_LINEAR_H

#include "cublaslt.h"
#include "gemm.h"
#include "timing.h"

namespace quire::bench {

class Linear {
 public:
  Linear(const cuda::CublasLt& lt, int rows, int n, int k, bool out_float = false)
      : lt_(lt), rows_(rows), n_(n), k_(k), out_float_(out_float) {
    if (lt.present()) product_ = lt.plan({rows, n, k, n, out_float});
  }

  /// Times each way on rotating weights and keeps the best of each library.
  void tune(const cuda::bf16* x, const std::vector<const cuda::bf16*>& weights, void* out, bool add = false) {
    const int calls = static_cast<int>(weights.size());
    auto weight = [&](int i) { return weights[static_cast<size_t>(i) % weights.size()]; };
    for (int a = 0; a < static_cast<int>(product_.algorithms.size()); a++) {
      if (lt_.run(product_, a, x, weight(0), out, add, stream()) != 0) continue;
      const double us = time_us(calls, 5, [&](int i) { lt_.run(product_, a, x, weight(i), out, add, stream()); });
      if (a == 0) first_us = us;
      if (us < lt_us) {
        lt_us = us;
        algorithm_ = a;
      }
    }
    own_us = time_us(calls, 5, [&](int i) { own(x, weight(i), out, add); });
  }

  void run(const cuda::bf16* x, const cuda::bf16* weight, void* out, bool add) const {
    // Beside others of ours, ours begins while the one before ends, which this measure does not show.
    if (own_us <= (rows_ <= cuda::kSkinnyRows ? 1.03 : 1.0) * lt_us) {
      own(x, weight, out, add);
    } else if (lt_.run(product_, algorithm_, x, weight, out, add, stream()) != 0) {
      fprintf(stderr, "cuBLASLt product failed\n");
      exit(1);
    }
  }
  void own(const cuda::bf16* x, const cuda::bf16* weight, void* out, bool add) const {
    const cuda::GemmArgs args = {x, weight, out, nullptr, rows_, n_, k_, n_, add, out_float_, nullptr, nullptr, nullptr, 0};
    const bool skinny = rows_ <= cuda::kSkinnyRows;
    must(skinny ? cuda::gemm_skinny(cuda::WeightFormat::kBf16, args, stream()) : cuda::gemm_tile(args, stream()), "gemm");
  }

  double first_us = 1e30, lt_us = 1e30, own_us = 1e30;  // of cuBLASLt's first choice, of its best, of ours

 private:
  const cuda::CublasLt& lt_;
  cuda::CublasLt::Product product_ = {};
  int algorithm_ = 0, rows_, n_, k_;
  bool out_float_;
};

}  // namespace quire::bench

#endif
