// Weights and values where the cache holds codes. Included by kernels.cpp.
//
// The weights of kCodePositions positions, counted from position 0, are a record: words, which include the scales of the
// values, and a scale for all. Values become words, and no code becomes a word that is not finite. So a weight of zero
// adds nothing, and rows need not begin and end at the same position to be done together.

namespace quire::QR_LEVEL {

constexpr int64_t kRecord = kCodePositions / 2 + 1;  // in floats

/// The scales of the values of 16 positions, 0 for those outside of [from, to).
QR_INLINE F value_scales(const AttentionItem& it, int64_t position, int64_t from, int64_t to) {
  const int64_t first = from - position > 0 ? from - position : 0, last = to - position < 16 ? to - position : 16;
  if (first >= last) return zero();
  return keep_lanes(load(it.scales_at(it.job.op->v_cache, position)), (int)first, (int)last, 0.0f);
}

/// Weights, times the scales of their values, as a record.
template <class Kv>
QR_INLINE void put_record(const F* weights, float* record) {
  constexpr int vectors = kCodePositions / 16;
  if constexpr (Kv::exact) {
    I most = set1_int(0);
    QR_UNROLL for (int v = 0; v < vectors; v++) most = max_bits(most, abs_bits(weights[v]));
    const float largest = bits_to_float((uint32_t)largest_int(most));
    const F factor = set1(factor_to(kMostInt16, largest));
    QR_UNROLL for (int v = 0; v < vectors; v += 2) {
      const I low = round_int(mul(weights[v], factor)), high = round_int(mul(weights[v + 1], factor));
      store(record + v * 8, as_float(pack_int16(low, high)));
    }
    record[kRecord - 1] = largest / kMostInt16;
  } else {
    QR_UNROLL for (int v = 0; v < vectors; v += 2) store(record + v * 8, pack_bf16(weights[v], weights[v + 1]));
    record[kRecord - 1] = 1.0f;
  }
}

/// Scores of a row to the records of [begin, end), zero outside of the row's range; the sum of the weights.
template <class Kv>
static float softmax_codes(const AttentionItem& it, int row, int64_t begin, int64_t end) {
  const int64_t from = it.from(row), to = it.to(row);
  float scale = it.job.op->scale;
  if constexpr (Kv::exact) {
    const float* q = it.queries + (int64_t)(row / kScoreRows) * kScoreRows * it.dim + row % kScoreRows;
    scale *= q[it.dim / 2 * kScoreRows];
  }
  const Weights<Bfloat16> weights(it.job.op->softcap > 0.0f ? 1.0f : scale, top_of_row(it, row, scale));
  const float* s = it.scores + row * it.stride - it.base;
  float* record = it.scores + row * it.stride + (begin - it.base) / kCodePositions * kRecord;
  F total = zero();
  for (int64_t p = begin; p < end; p += kCodePositions, record += kRecord) {
    F w[kCodePositions / 16];
    QR_UNROLL for (int v = 0; v < kCodePositions / 16; v++) {
      const int64_t at = p + v * 16;
      w[v] = zero();
      if (at + 16 <= from || at >= to) continue;
      const F weight = weights.of(load(s + at));
      total = add(total, weight);
      w[v] = mul(weight, value_scales(it, at, from, to));
    }
    put_record<Kv>(w, record);
  }
  return sum(total);
}

/// Where the values of 16 positions from p on lie, as codes or, from the begin of their record on, as words.
template <class Kv>
QR_INLINE const typename Kv::Word* value_words(const AttentionItem& it, int64_t p) {
  if constexpr (sizeof(typename Kv::Word) == sizeof(float)) {
    return it.words + p % kCodePositions / 2 * it.dim;
  } else {
    return values_at<Kv>(it, p);
  }
}

/// values[r][d..] += weights * V over the positions of [p, end) in one record, for kRows rows and kVectors vectors of
/// columns (or n < 16).
template <class Kv, int kRows, int kVectors, bool kFetch>
QR_INLINE void add_values(const AttentionItem& it, int row, int d, int n, int64_t p, int64_t end) {
  typename Kv::Sum acc[kRows][kVectors];
  QR_UNROLL for (int r = 0; r < kRows; r++) {
    QR_UNROLL for (int v = 0; v < kVectors; v++) acc[r][v] = Kv::nothing();
  }
  const float* record = it.scores + row * it.stride + (p - it.base) / kCodePositions * kRecord;
  const float* weights = record;
  const int64_t last = p + kCodePositions < end ? p + kCodePositions : end;
  for (; p < last; p += 16) {
    const typename Kv::Word* in = value_words<Kv>(it, p) + d;
    const typename Kv::Word* ahead = kFetch ? values_at<Kv>(it, p + kPositionsAhead) : nullptr;
    for (int w = 0; w < 8; w++, in += it.dim, weights++) {
      if (kFetch && ahead != nullptr) {
        QR_UNROLL for (int i = 0; i < kVectors; i += 2) __builtin_prefetch(ahead + w * it.dim + d + i * 16, 0, 2);
      }
      typename Kv::Sum v[kVectors];
      QR_UNROLL for (int i = 0; i < kVectors; i++) v[i] = kVectors == 1 ? Kv::load_n(in, n) : Kv::load(in + i * 16);
      QR_UNROLL for (int r = 0; r < kRows; r++) {
        const F x = set1(weights[r * it.stride]);
        QR_UNROLL for (int i = 0; i < kVectors; i++) acc[r][i] = multiply_add<Kv>(x, v[i], acc[r][i]);
      }
    }
  }
  QR_UNROLL for (int r = 0; r < kRows; r++) {
    const F scale = set1(record[r * it.stride + kRecord - 1]);
    float* out = it.values + (int64_t)(row + r) * it.dim + d;
    QR_UNROLL for (int v = 0; v < kVectors; v++) {
      if (kVectors == 1) {
        store_n(out, fma(Kv::sum(acc[r][v]), scale, load_n(out, n)), n);
      } else {
        store(out + v * 16, fma(Kv::sum(acc[r][v]), scale, load(out + v * 16)));
      }
    }
  }
}

template <class Kv, bool kFetch>
static void add_values_to(const AttentionItem& it, int row, int n, int64_t p, int64_t end) {
  with_rows<kScoreRows>(n, [&](auto rows) {
    int d = 0;
    for (; d + 64 <= it.dim; d += 64) add_values<Kv, rows.value, 4, kFetch>(it, row, d, 16, p, end);
    for (; d < it.dim; d += 16) {
      add_values<Kv, rows.value, 1, kFetch>(it, row, d, it.dim - d < 16 ? it.dim - d : 16, p, end);
    }
  });
}

/// Codes of values of a record to words [kCodePositions / 2][dim].
template <class Kv>
static void expand_values(const AttentionItem& it, int64_t p, int64_t end) {
  float* to = it.words;
  const int64_t last = p + kCodePositions < end ? p + kCodePositions : end;
  for (; p < last; p += 16) {
    const typename Kv::Word *in = values_at<Kv>(it, p), *ahead = values_at<Kv>(it, p + kPositionsAhead);
    int i = 0;
    for (; i + 16 <= 8 * it.dim; i += 16, to += 16) {
      if (ahead != nullptr) __builtin_prefetch(ahead + i, 0, 2);
      store(to, Kv::in_float(Kv::load(in + i)));
    }
  }
}

/// Weights of all rows, into `totals` their sums, and the weighted sums of values.
template <class Kv>
static void weigh_codes(const AttentionItem& it, float* totals) {
  const auto rows_at = [&](int row) { return it.rows - row < kScoreRows ? it.rows - row : kScoreRows; };
  const auto begin_at = [&](int row) { return it.from(row) / kCodePositions * kCodePositions; };
  for (int row = 0; row < it.rows; row += kScoreRows) {
    const int n = rows_at(row);
    for (int r = row; r < row + n; r++) totals[r] = softmax_codes<Kv>(it, r, begin_at(row), it.to(row + n - 1));
  }
  for (int64_t p = begin_at(0); p < it.end(); p += kCodePositions) {
    if (it.words != nullptr) expand_values<Kv>(it, p, it.end());
    for (int row = 0; row < it.rows; row += kScoreRows) {
      const int n = rows_at(row);
      const int64_t end = it.to(row + n - 1);
      if (p < begin_at(row) || p >= end) continue;
      if (it.words != nullptr) {
        add_values_to<Expanded<Kv>, false>(it, row, n, p, end);
      } else {
        add_values_to<Kv, true>(it, row, n, p, end);
      }
    }
  }
}

}  // namespace quire::QR_LEVEL
