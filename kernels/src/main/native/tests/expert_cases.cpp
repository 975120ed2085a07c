// Mixtures of experts whose matrices have different types, and a row alone beside the same row in company.
#include "expert_reference.h"

namespace conformance {
namespace {

struct Types {
  int32_t gate, up, down;
  double bound;
};

void experts(const Types& types, int rows, int experts, int chosen, int flags, uint64_t seed) {
  Random random(seed);
  const int64_t cols = 256, inner = 256;
  const Matrix gate = random_matrix(types.gate, experts * inner, cols, random), up = random_matrix(types.up, experts * inner, cols, random),
               down = random_matrix(types.down, experts * cols, inner, random);
  const size_t width = static_cast<size_t>(cols), count = static_cast<size_t>(rows) * width;
  const std::vector<float> x = random.normals(count), before = random.normals(count),
                           logits = random.normals(static_cast<size_t>(rows * experts));
  const std::vector<double> wanted = mixture({rows, experts, chosen, (flags & QR_NORMALISED) != 0, gate, up, down},
                                             (flags & QR_ADD) != 0 ? std::vector<double>(before.begin(), before.end()) : std::vector<double>(count),
                                             std::vector<double>(x.begin(), x.end()), logits);
  std::vector<float> first;
  for (const Setup& setup : setups()) {
    Rig rig(setup.isa, setup.threads);
    std::vector<uint8_t> storage[3];
    const QrWeight weights[3] = {pack(rig, gate, storage[0]), pack(rig, up, storage[1]), pack(rig, down, storage[2])};
    const auto run = [&](size_t from, size_t n, Floats& sum) {
      const size_t e = static_cast<size_t>(experts);
      Floats in(std::vector<float>(x.begin() + static_cast<long>(from * width), x.begin() + static_cast<long>((from + n) * width)));
      Floats router(std::vector<float>(logits.begin() + static_cast<long>(from * e), logits.begin() + static_cast<long>((from + n) * e)));
      const QrExperts op = {sum.address(), in.address(), router.address(), weights[0], weights[1], weights[2], experts, chosen, QR_SILU, 0};
      StepData step = StepData::rows(static_cast<int>(n));
      check(rig.run(QR_OP_EXPERTS, flags, &op, step.view()) == QR_OK, "experts run on %s", rig.label.c_str());
      check(sum.guarded(), "experts write only their rows on %s", rig.label.c_str());
    };
    Floats sum(before);
    run(0, static_cast<size_t>(rows), sum);
    const std::vector<float> got(sum.data(), sum.data() + count);
    const double error = distance(got, wanted);
    check(error < types.bound, "experts of %s, %s, %s, %d rows: error %g on %s", type_name(types.gate), type_name(types.up),
          type_name(types.down), rows, error, rig.label.c_str());
    const size_t last = static_cast<size_t>(rows - 1);
    Floats alone(std::vector<float>(before.begin() + static_cast<long>(last * width), before.end()));
    run(last, 1, alone);
    check(std::equal(alone.data(), alone.data() + width, got.begin() + static_cast<long>(last * width)),
          "experts of %s: a row alone is another one on %s", type_name(types.gate), rig.label.c_str());
    if (first.empty()) first = got;
    check(got == first, "experts of %s: other bits on %s", type_name(types.gate), rig.label.c_str());
  }
}

}  // namespace

void expert_cases() {
  uint64_t seed = 51;
  for (const Types& types : {Types{QR_Q4_K, QR_Q6_K, QR_Q8_0, 3e-2}, {QR_Q4_0, QR_F32, QR_F16, 3e-2}, {QR_BF16, QR_F32, QR_Q4_1, 3e-2},
                             {QR_F32, QR_F32, QR_BF16, 1e-5}}) {
    experts(types, 3, 4, 2, QR_NORMALISED | QR_ADD, seed++);
    experts(types, 17, 3, 1, QR_HIGH_PRECISION, seed++);
  }
}

}  // namespace conformance
