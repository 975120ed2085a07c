// QR_OP_LINEAR and QR_OP_EMBED: every weight type against a double-precision sum, and the same bits on every level,
// with any number of threads and rows.
#include <math.h>

#include <algorithm>
#include <memory>

#include "harness.h"

namespace conformance {
namespace {

constexpr int kMostRows = 33;

/// Values on a grid that 8-bit groups hold exactly: integers up to 127 with one 127 in each group, times a power of two.
std::vector<float> grid(int64_t rows, int64_t cols, Random& random) {
  std::vector<float> x(static_cast<size_t>(rows * cols));
  for (size_t i = 0; i < x.size(); i++) {
    const bool peak = i % 32 == (i / 32) % 32;
    x[i] = ldexpf(peak ? 127.0f : static_cast<float>(random.below(255) - 127), -5 - static_cast<int>(i / 32 % 3));
  }
  return x;
}

struct Problem {
  std::vector<Matrix> parts;
  std::vector<float> x, bias, before;
  int64_t cols, out_cols = 0;
  int flags = 0;
  bool exact;  // x is held exactly by the activations' format
};

QrLinear describe(const Problem& p, Rig& rig, std::vector<std::vector<uint8_t>>& storage, Floats& x,
                  Floats& out, Floats& bias) {
  QrLinear op = {};
  op.x = x.address();
  op.out = out.address();
  op.bias = p.bias.empty() ? 0 : bias.address();
  op.n_parts = static_cast<int32_t>(p.parts.size());
  op.in_cols = static_cast<int32_t>(p.cols);
  op.out_cols = static_cast<int32_t>(p.out_cols);
  storage.resize(p.parts.size());
  for (size_t i = 0; i < p.parts.size(); i++) op.parts[i] = pack(rig, p.parts[i], storage[i]);
  return op;
}

Floats solve(const Problem& p, Rig& rig, int rows) {
  const size_t cols = static_cast<size_t>(p.cols), n = static_cast<size_t>(rows);
  Floats x(std::vector<float>(p.x.begin(), p.x.begin() + static_cast<ptrdiff_t>(n * cols)));
  Floats out(n * static_cast<size_t>(p.out_cols)), bias(p.bias);
  for (size_t i = 0; i < out.size(); i++) out.data()[i] = p.before[i];
  std::vector<std::vector<uint8_t>> storage;
  const QrLinear op = describe(p, rig, storage, x, out, bias);
  StepData step = StepData::rows(rows);
  check(rig.run(QR_OP_LINEAR, p.flags, &op, step.view()) == QR_OK, "linear runs");
  check(out.guarded(), "linear writes only its rows (%s)", rig.label.c_str());
  return out;
}

bool has_4_bits(const Matrix& w) { return w.type == QR_Q4_0 || w.type == QR_Q4_1 || w.type == QR_Q4_K; }

/// What rounding may change of output n, by the codes of x. Where some part has 4-bit codes, a group's scale may be twice
/// what it needs, or an eighth (of 15-bit codes a quarter) of its
/// neighbour's, but not more than that one.
double rounding_of_x(const Problem& p, const Matrix& w, int64_t n, const float* x) {
  if (p.exact || block_cols(w.type) == 1) return 0;
  const bool pairs = std::any_of(p.parts.begin(), p.parts.end(), has_4_bits);
  const auto largest = [&](int64_t k) {
    double amax = 0;
    for (int64_t j = k; j < k + 32 && j < p.cols; j++) amax = fmax(amax, fabs(x[j]));
    return amax;
  };
  double step = 0;
  for (int64_t k = 0; k < p.cols; k += 32) {
    const double own = largest(k), pair = fmax(own, largest(k ^ 32)), least = (p.flags & QR_HIGH_PRECISION) != 0 ? 4 : 8;
    double weights = 0;
    for (int64_t j = k; j < k + 32; j++) weights += fabs(w.values[static_cast<size_t>(n * p.cols + j)]);
    step += (pairs ? fmax(fmin(2 * own, pair), pair / least) : own) * weights;
  }
  return 0.5001 * step / ((p.flags & QR_HIGH_PRECISION) != 0 ? 32639 : 127);
}

/// And by the minima of 4-bit types, which are integers of 15 bits and a sign beside the row's largest one.
double rounding_of_minima(const Problem& p, const Matrix& w, int64_t n, const float* x) {
  if (w.type != QR_Q4_1 && w.type != QR_Q4_K) return 0;
  double sums = 0, largest = 0;
  for (int64_t k = 0; k < p.cols; k += 32) {
    double sum = 0;
    for (int64_t j = k; j < k + 32; j++) {
      sum += x[j];
      largest = fmax(largest, fabs(w.values[static_cast<size_t>(n * p.cols + j)]));
    }
    sums += fabs(sum);
  }
  return sums * ldexp(largest, -14);
}

/// Largest error of row r against double precision, in units of what rounding explains.
double worst(const Problem& p, const Floats& out_const, int rows) {
  Floats& out = const_cast<Floats&>(out_const);
  double most = 0;
  for (int r = 0; r < rows; r++) {
    const float* x = &p.x[static_cast<size_t>(r * p.cols)];
    size_t column = 0;
    for (const Matrix& w : p.parts) {
      for (int64_t n = 0; n < w.rows; n++, column++) {
        double sum = 0, size = 1e-6;
        for (int64_t k = 0; k < p.cols; k++) {
          const double value = w.values[static_cast<size_t>(n * p.cols + k)] * x[k];
          sum += value;
          size += fabs(value);
        }
        const size_t at = static_cast<size_t>(r * p.out_cols) + column;
        if (!p.bias.empty()) sum += p.bias[column];
        if ((p.flags & QR_ADD) != 0) sum += p.before[at];
        const double allowed =
            3e-6 * (size + fabs(sum)) + rounding_of_x(p, w, n, x) + rounding_of_minima(p, w, n, x);
        most = worse(most, fabs(out.data()[at] - sum) / allowed);
      }
    }
  }
  return most;
}

void compare(const Problem& p, const char* name) {
  std::unique_ptr<Floats> first;
  for (const Setup& setup : setups()) {
    Rig rig(setup.isa, setup.threads);
    Floats out = solve(p, rig, kMostRows);
    if (first == nullptr) {
      const double error = worst(p, out, kMostRows);
      check(error <= 1, "linear %s K %d N %d: error %.3f of what is allowed", name,
            static_cast<int>(p.cols), static_cast<int>(p.out_cols), error);
      first = std::make_unique<Floats>(out.size());
      for (size_t i = 0; i < out.size(); i++) first->data()[i] = out.data()[i];
    }
    check(first->equal(out, out.size()), "linear %s K %d N %d: same bits on %s", name,
          static_cast<int>(p.cols), static_cast<int>(p.out_cols), rig.label.c_str());
    for (int rows : {1, 2, 3, 4, 5, 6, 7, 8, 9}) {
      if (setup.threads == 2 && rows % 4 != 1) continue;
      const Floats few = solve(p, rig, rows);
      check(first->equal(few, few.size()), "linear %s K %d N %d: same bits with %d rows on %s", name,
            static_cast<int>(p.cols), static_cast<int>(p.out_cols), rows, rig.label.c_str());
    }
  }
}

Problem problem(std::vector<Matrix> parts, int64_t cols, int flags, bool exact, Random& random) {
  Problem p;
  p.parts = std::move(parts);
  p.cols = cols;
  p.flags = flags;
  p.exact = exact && (flags & QR_HIGH_PRECISION) == 0;
  for (const Matrix& m : p.parts) p.out_cols += m.rows;
  p.x = exact ? grid(kMostRows, cols, random) : random.normals(static_cast<size_t>(kMostRows * cols));
  p.before = random.normals(static_cast<size_t>(kMostRows * p.out_cols));
  return p;
}

void each_type() {
  Random random(1);
  for (int32_t type : kAllTypes) {
    const bool plain = block_cols(type) == 1;
    int variant = 0;
    for (int64_t cols : plain ? std::vector<int64_t>{1, 37, 64}
                              : block_cols(type) == 256 ? std::vector<int64_t>{256, 768}
                                                        : std::vector<int64_t>{32, 64, 576}) {
      for (int64_t rows : {1, 15, 16, 17, 48}) {
        const int flags = variant % 3 == 1 ? QR_HIGH_PRECISION : variant % 3 == 2 ? QR_ADD : 0;
        Problem p = problem({random_matrix(type, rows, cols, random)}, cols, flags,
                            variant % 2 == 0 && !plain, random);
        if (variant % 4 == 3) p.bias = random.normals(static_cast<size_t>(rows));
        compare(p, type_name(type));
        variant++;
      }
    }
  }
}

void stacked() {
  Random random(2);
  Problem p = problem({random_matrix(QR_Q4_K, 17, 256, random), random_matrix(QR_Q6_K, 33, 256, random),
                       random_matrix(QR_F16, 5, 256, random)},
                      256, 0, true, random);
  p.bias = random.normals(static_cast<size_t>(p.out_cols));
  compare(p, "stacked");
  p = problem({random_matrix(QR_Q8_0, 16, 64, random), random_matrix(QR_Q4_0, 20, 64, random),
               random_matrix(QR_Q5_1, 1, 64, random)},
              64, QR_HIGH_PRECISION | QR_ADD, false, random);
  compare(p, "stacked high");
}

void not_finite() {
  Random random(3);
  for (int flags : {0, QR_HIGH_PRECISION}) {
    Problem p = problem({random_matrix(QR_Q4_1, 16, 64, random)}, 64, flags, false, random);
    p.x[3] = NAN;
    p.x[64 + 40] = HUGE_VALF;
    for (int i = 0; i < 64; i++) p.x[static_cast<size_t>(128 + i)] = 0;
    for (const Setup& setup : setups()) {
      Rig rig(setup.isa, setup.threads);
      Floats out = solve(p, rig, 4);
      bool ok = true;
      for (int n = 0; n < 16; n++) {
        ok = ok && isnan(out.data()[n]) && isnan(out.data()[16 + n]) && out.data()[32 + n] == 0 &&
             isfinite(out.data()[48 + n]);
      }
      check(ok, "a row that is not finite spoils itself alone (%s)", rig.label.c_str());
    }
  }
}

void embedding() {
  Random random(4);
  for (int32_t type : kAllTypes) {
    const int64_t cols = block_cols(type) == 1 ? 37 : 256;
    const Matrix m = random_matrix(type, 21, cols, random);
    for (const Setup& setup : setups()) {
      Rig rig(setup.isa, setup.threads);
      std::vector<uint8_t> storage;
      StepData step = StepData::rows(21);
      for (int t = 0; t < 21; t++) step.token[static_cast<size_t>(t)] = 20 - t;
      Floats out(static_cast<size_t>(21 * cols));
      QrEmbed op = {out.address(), pack(rig, m, storage), 2.0f, 0};
      check(rig.run(QR_OP_EMBED, 0, &op, step.view()) == QR_OK, "embed runs");
      bool ok = out.guarded();
      for (int64_t t = 0; t < 21; t++) {
        const double* values = &m.values[static_cast<size_t>((20 - t) * cols)];
        double largest = 0;
        for (int64_t k = 0; k < cols; k++) largest = fmax(largest, fabs(values[k]));
        const double minima = type == QR_Q4_1 || type == QR_Q4_K ? 2 * ldexp(largest, -14) : 0;
        for (int64_t k = 0; k < cols; k++) {
          const double wanted = 2 * values[k];
          ok = ok && fabs(out.data()[t * cols + k] - wanted) <= 2e-7 * (fabs(wanted) + 0.1) + minima;
        }
      }
      check(ok, "embed %s on %s", type_name(type), rig.label.c_str());
    }
  }
}

}  // namespace

void linear_cases() {
  each_type();
  stacked();
  not_finite();
  embedding();
}

}  // namespace conformance
