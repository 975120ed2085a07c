// Linear operations on quantised weights: 8-bit (or two times 8-bit) activations, exact integer dot products per group
// of 32 columns, scaled in float32 in the order of the groups. Included by kernels.cpp.

namespace quire::QR_LEVEL {

/// Bytes by which weights are fetched ahead of their use, into the tiles that follow: what hides the memory's latency.
constexpr int64_t kPrefetch = 4096;

/// Adding it to an integer below 2^22 in magnitude gives the bits of the float 12582912 + integer.
constexpr int32_t kMagicBits = 0x4B400000;
constexpr float kMagic = 12582912.0f;

/// What is quantised together: groups of columns, at most 16, of one row or of several.
constexpr int kCells = 16;

/// The scale of a group whose largest value has these bits: its low two bits are clear, so that scale * kMagic is exact;
/// NaN when a value is not finite.
QR_INLINE float scale_of(int32_t bits, float levels) {
  const float magnitude = bits_to_float((uint32_t)bits);
  const float scale = bits_to_float(float_to_bits(magnitude / levels) & ~3u);
  return bits >= 0x7f800000 ? bits_to_float(0x7fc00000) : magnitude < 1e-30f ? 0.0f : scale;
}

/// By what the values of such a group are multiplied to give codes: 0 where the scale is 0 or NaN.
QR_INLINE float inverse_of(int32_t bits, float levels) {
  const float magnitude = bits_to_float((uint32_t)bits);
  return bits >= 0x7f800000 || magnitude < 1e-30f ? 0.0f : levels / magnitude;
}

QR_INLINE I codes_of(F x, float inverse) {
  return inverse == 0.0f ? set1_int(0) : round_int(mul(x, set1(inverse)));
}

/// Splits 15-bit codes into a high and a low byte: code = 256 high + low.
QR_INLINE void store_planes(I codes, int8_t* high, int8_t* low) {
  int32_t lane[16];
  store_int(lane, codes);
  for (int i = 0; i < 16; i++) {
    low[i] = (int8_t)(uint8_t)(lane[i] & 255);
    high[i] = (int8_t)((lane[i] - low[i]) / 256);
  }
}

/// Quantises n cells: cell i is group (group + i group_step) of row (row + i row_step), its values are at x + i step.
static void quantise_cells(const LinearJob& job, const QuantisedRows& q, const float* x, int64_t step, int64_t row,
                           int row_step, int64_t group, int group_step, int n) {
  const float levels = job.high ? 32639.0f : 127.0f;
  bool halves = false;  // whether some part wants the sum of a group's second half
  for (int p = 0; p < job.n_parts; p++) halves = halves || job.parts[p].format->scales_per_group == 2;
  alignas(64) int32_t lanes[kCells][16], second[kCells][16], bits[kCells], sums[kCells], seconds[kCells];
  alignas(64) float scale[kCells], inverse[kCells];
  for (int i = 0; i < n; i++) {
    store_int(lanes[i], max_bits(abs_bits(load(x + i * step)), abs_bits(load(x + i * step + 16))));
  }
  for (int i = n; i < kCells; i++) store_int(lanes[i], set1_int(0));
  store_int(bits, largest_each(lanes));
  for (int i = 0; i < kCells; i++) scale[i] = scale_of(bits[i], levels);
  for (int i = 0; i < kCells; i++) inverse[i] = inverse_of(bits[i], levels);

  const auto cell = [&](int i) {  // counted through the blocks of rows
    const int64_t r = row + i * row_step, block = r / kRowBlock * (job.in_cols / kGroup) + group + i * group_step;
    return block * kRowBlock + r % kRowBlock;
  };
  for (int i = 0; i < n; i++) {
    const I a = codes_of(load(x + i * step), inverse[i]), b = codes_of(load(x + i * step + 16), inverse[i]);
    const int64_t code = cell(i) * kGroup;
    if (job.high) {
      store_planes(a, q.codes + code, q.low + code);
      store_planes(b, q.codes + code + 16, q.low + code + 16);
    } else {
      store_bytes(q.codes + code, a);
      store_bytes(q.codes + code + 16, b);
    }
    store_int(lanes[i], add(a, b));
    if (halves) store_int(second[i], b);
  }
  store_int(sums, sum_each(lanes));
  if (halves) {
    for (int i = n; i < kCells; i++) store_int(second[i], set1_int(0));
    store_int(seconds, sum_each(second));
  }
  for (int i = 0; i < n; i++) {
    const int64_t at = cell(i), in_block = at % kRowBlock;
    float* factors = q.factors + (at - in_block) * 4 + in_block;
    factors[0] = scale[i];
    factors[kRowBlock] = -(scale[i] * kMagic);
    factors[2 * kRowBlock] = scale[i] * (float)sums[i];
  }
  for (int p = 0; p < job.n_parts; p++) {
    if (q.starts[p] == nullptr) continue;
    const int32_t base = job.high ? 0 : kMagicBits, zero = q.zero[p];
    const bool by_half = job.parts[p].format->scales_per_group == 2;
    for (int i = 0; i < n; i++) {
      const int64_t at = cell(i), in_block = at % kRowBlock;
      int32_t* starts = q.starts[p] + (at - in_block) * 2 + in_block;
      starts[0] = base - zero * (by_half ? sums[i] - seconds[i] : sums[i]);
      if (by_half) starts[kRowBlock] = base - zero * seconds[i];
    }
  }
}

/// Groups [first, first + n) of a row, whose values begin at x.
static void quantise(const LinearJob& job, const QuantisedRows& q, const float* x, int64_t row, int64_t first,
                     int64_t n) {
  for (int64_t g = 0; g < n; g += kCells) {
    const int cells = n - g < kCells ? (int)(n - g) : kCells;
    quantise_cells(job, q, x + g * kGroup, kGroup, row, 0, first + g, 1, cells);
  }
}

/// The rows of x that a kernel works on, at their first group.
struct RowView {
  const int8_t *codes, *low;
  const float* factors;
  const int32_t* starts;
};

QR_INLINE int32_t quad(const int8_t* codes, int row, int c) {
  int32_t four;
  memcpy(&four, codes + row * kGroup + c * 4, 4);
  return four;
}

/// What a kernel must know of a weight type.
template <int kBits, bool kHalfFloat, bool kMinima, int kHalves>
struct QuantType {
  static constexpr int bits = kBits, halves = kHalves;
  static constexpr bool half_float = kHalfFloat, minima = kMinima;
  // Bytes of a group's parts (layout.h).
  static constexpr int64_t codes = 64 * kBits, factors = 16 * (kHalfFloat ? 2 : 4);
  static constexpr int64_t group = codes + factors * (kHalves + (kMinima ? 1 : 0));

  /// Factors of a group: the scales of its halves, then the minima.
  QR_INLINE_MEMBER static F load_factors(const uint8_t* group, int index) {
    const uint8_t* at = group + codes + index * factors;
    if constexpr (kHalfFloat) {
      return load_f16((const uint16_t*)at);
    } else {
      return load((const float*)at);
    }
  }
};

/// Adds the products of one half (or whole) group of a tile to the integer sums.
template <class T, int kRows>
QR_INLINE void dot_group(const uint8_t* tile, int half, const int8_t* x, Dot<T::bits> (&sum)[kRows]) {
  if constexpr (T::bits == 4) {
    QR_UNROLL for (int c = 0; c < 4; c++) {
      const Bytes both = load_bytes(tile + c * 64);
      const Bytes low = low_nibbles(both), high = high_nibbles(both);
      QR_UNROLL for (int r = 0; r < kRows; r++) {
        sum[r].add(low, quad(x, r, c));
        sum[r].add(high, quad(x, r, c + 4));
      }
    }
  } else {
    constexpr int quads = 8 / T::halves;
    QR_UNROLL for (int i = 0; i < quads; i++) {
      const int c = half * quads + i;
      const Bytes w = load_bytes(tile + c * 64);
      QR_UNROLL for (int r = 0; r < kRows; r++) sum[r].add(w, quad(x, r, c));
    }
  }
}

/// 16 outputs of each of kRows rows, over all groups of a tile.
template <class T, bool kHigh, int kRows>
QR_INLINE void tile_rows(const uint8_t* tile, RowView x, int64_t groups, F (&acc)[kRows]) {
  QR_UNROLL for (int r = 0; r < kRows; r++) acc[r] = zero();
  for (int64_t g = 0; g < groups; g++) {
    QR_UNROLL for (int64_t ahead = 0; ahead < T::group; ahead += 64) {
      __builtin_prefetch(tile + kPrefetch + ahead);
    }
    QR_UNROLL for (int half = 0; half < T::halves; half++) {
      Dot<T::bits> sum[kRows], low[kRows];
      int32_t start[kRows];
      QR_UNROLL for (int r = 0; r < kRows; r++) {
        start[r] = T::minima ? (kHigh ? 0 : kMagicBits) : x.starts[half * kRowBlock + r];
        sum[r].start(kHigh ? 0 : start[r]);
        low[r].start(start[r]);
      }
      dot_group<T, kRows>(tile, half, x.codes, sum);
      if constexpr (kHigh) dot_group<T, kRows>(tile, half, x.low, low);
      const F d = T::load_factors(tile, half);
      QR_UNROLL for (int r = 0; r < kRows; r++) {
        const F scale = set1(x.factors[r]);
        F value;
        if constexpr (kHigh) {
          value = mul(to_float(add(shift_left_8(sum[r].done(0)), low[r].done(start[r]))), scale);
        } else {
          value = fma(as_float(sum[r].done(start[r])), scale, set1(x.factors[kRowBlock + r]));
        }
        acc[r] = fma(value, d, acc[r]);
      }
      if constexpr (T::minima) {
        const F m = T::load_factors(tile, T::halves);
        QR_UNROLL for (int r = 0; r < kRows; r++) acc[r] = fma(m, set1(x.factors[2 * kRowBlock + r]), acc[r]);
      }
    }
    tile += T::group;
    x.codes += kRowBlock * kGroup;
    if (kHigh) x.low += kRowBlock * kGroup;
    x.factors += 4 * kRowBlock;
    if (!T::minima) x.starts += 2 * kRowBlock;
  }
}

/// Rows [row, row + n) of a block of kRows, n <= kRows: the others are computed, from whatever is there, and dropped.
template <class T, bool kHigh, int kRows>
static void quant_block(const TileWork& work, int64_t tile, int64_t row, int n) {
  const LinearJob& job = work.job;
  const LinearPart& part = work.part;
  const QuantisedRows& q = work.q;
  const int64_t groups = job.in_cols / kGroup;
  const int64_t block = row / kRowBlock * groups, in_block = row % kRowBlock;
  const int32_t* starts = q.starts[&part - job.parts];
  const int64_t code = (block * kRowBlock + in_block) * kGroup;
  const RowView x = {q.codes + code, kHigh ? q.low + code : nullptr,
                     q.factors + block * 4 * kRowBlock + in_block,
                     T::minima ? nullptr : starts + block * 2 * kRowBlock + in_block};
  F acc[kRows];
  tile_rows<T, kHigh, kRows>(part.data + tile * part.tile.bytes, x, groups, acc);
  for (int r = 0; r < n; r++) write_tile(work, tile, row + r, acc[r]);
}

/// A wide block costs less than the narrow ones that would do the same rows, from 3 rows of 4 and from 6 of 8 on.
template <class T, bool kHigh>
static void quant_rows(const TileWork& work, int64_t tile, int64_t row, int64_t end) {
  if constexpr (kLinearRows >= 8 && !kHigh) {
    for (; row + 6 <= end; row += 8) quant_block<T, kHigh, 8>(work, tile, row, end - row < 8 ? (int)(end - row) : 8);
  }
  if constexpr (kLinearRows >= 4 && !kHigh) {
    for (; row + 3 <= end; row += 4) quant_block<T, kHigh, 4>(work, tile, row, end - row < 4 ? (int)(end - row) : 4);
  }
  if constexpr (kLinearRows >= 2) {
    for (; row + 2 <= end; row += 2) quant_block<T, kHigh, 2>(work, tile, row, 2);
  }
  for (; row < end; row++) quant_block<T, kHigh, 1>(work, tile, row, 1);
}

template <class T>
static void quant_tiles(const TileWork& work, int64_t tile, int64_t tiles_end, int64_t row, int64_t end) {
  for (; tile < tiles_end; tile++) {
    if (work.job.high) {
      quant_rows<T, true>(work, tile, row, end);
    } else {
      quant_rows<T, false>(work, tile, row, end);
    }
  }
}

}  // namespace quire::QR_LEVEL
