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

/// What is quantised together: `groups` groups from `group` on of each of n / groups rows; the values of a row are at x, the
/// next row's `stride` further. Where groups are paired, `group` and `groups` are even, but for the last groups of one row.
struct Cells {
  const float* x;
  int64_t stride, row, group;
  int groups, n;  // n at most kCells

  /// f(i, values of cell i, its place, counted through the blocks of rows).
  template <class Use>
  QR_INLINE_MEMBER void each(const LinearJob& job, Use f) const {
    const float* values = x;
    int64_t r = row;
    for (int i = 0; i < n; r++, values += stride) {
      const int64_t place = (r / kRowBlock * group_slots(job.in_cols) + group) * kRowBlock + r % kRowBlock;
      for (int g = 0; g < groups; g++, i++) f(i, values + g * kGroup, place + g * kRowBlock);
    }
  }
};

/// Where the first of `each` numbers of a cell (or of a pair, counted likewise) lies: they are kRowBlock apart.
QR_INLINE int64_t numbers_at(int64_t place, int each) {
  const int64_t in_block = place % kRowBlock;
  return (place - in_block) * each + in_block;
}

/// The place of the pair that a cell belongs to.
QR_INLINE int64_t pair_of(int64_t place) { return place / kRowBlock / 2 * kRowBlock + place % kRowBlock; }

/// Two int16 in a word.
QR_INLINE int32_t two_words(int32_t first, int32_t second) {
  return (int32_t)(((uint32_t)first & 0xffff) | (uint32_t)second << 16);
}

/// Scales of 16 cells, and by what values are multiplied to give codes.
struct Scales {
  alignas(64) float scale[kCells], inverse[kCells];
  alignas(64) int32_t exponent[kCells];  // of a pair's groups beside the smaller scale

  QR_INLINE_MEMBER void single(const int32_t* bits, float levels) {
    for (int i = 0; i < kCells; i++) scale[i] = scale_of(bits[i], levels);
    for (int i = 0; i < kCells; i++) inverse[i] = inverse_of(bits[i], levels);
  }

  /// The scales of a pair differ by a power of two, at most 2^most: the larger one stays, and the other becomes up to twice
  /// what it would be alone.
  QR_INLINE_MEMBER void pair(const int32_t* bits, float levels, int most) {
    single(bits, levels);
    for (int i = 0; i < kCells; i += 2) {
      const int large = bits[i] >= bits[i + 1] ? i : i + 1, other = i + i + 1 - large;
      const float all = scale[large], alone = scale[other];
      const int shift =
          all == 0.0f ? 0 : (2 * alone <= all) + (4 * alone <= all) + ((8 * alone <= all) & (most > 2));
      exponent[large] = shift;
      exponent[other] = 0;
      scale[other] = all / (float)(1 << shift);
      inverse[other] = inverse[large] * (float)(1 << shift);
    }
  }
};

/// The sums of a pair's codes for the minima; of 15-bit codes those of either byte.
static void store_pair(const QuantisedRows& q, int64_t place, const Scales& scales, int i, const int32_t* sums, int n) {
  const int64_t pair = pair_of(place);
  const int32_t first = scales.exponent[i], second = scales.exponent[i + 1];
  q.pair_scales[pair] = scales.scale[i] / (float)(1 << first);
  int32_t* numbers = q.pairs + numbers_at(pair, 4);
  numbers[0] = first;
  numbers[kRowBlock] = second;
  if (q.low == nullptr) {
    numbers[2 * kRowBlock] = two_words(sums[0] << first, sums[1] << second);
    return;
  }
  int32_t high[2] = {0, 0}, low[2] = {0, 0};
  for (int j = 0; j < n; j++) {
    for (int k = 0; k < kGroup; k++) {
      high[j] += q.codes[(place + j * kRowBlock) * kGroup + k];
      low[j] += q.low[(place + j * kRowBlock) * kGroup + k];
    }
  }
  numbers[2 * kRowBlock] = two_words(high[0] << first, high[1] << second);
  numbers[3 * kRowBlock] = two_words(low[0] << first, low[1] << second);
}

static void quantise_cells(const LinearJob& job, const QuantisedRows& q, const Cells& cells) {
  const float levels = job.high ? 32639.0f : 127.0f;
  const int n = cells.n;
  bool halves = false;  // whether some part wants the sum of a group's second half
  for (int p = 0; p < job.n_parts; p++) halves = halves || job.parts[p].format->scales_per_group == 2;
  alignas(64) int32_t lanes[kCells][16], second[kCells][16], bits[kCells], sums[kCells], seconds[kCells];
  cells.each(job, [&](int i, const float* x, int64_t) {
    store_int(lanes[i], max_bits(abs_bits(load(x)), abs_bits(load(x + 16))));
  });
  for (int i = n; i < kCells; i++) store_int(lanes[i], set1_int(0));
  store_int(bits, largest_each(lanes));
  Scales scales;
  if (job.paired) {
    scales.pair(bits, levels, job.high ? 2 : 3);  // so that sums of codes keep within 16 bits
  } else {
    scales.single(bits, levels);
  }

  cells.each(job, [&](int i, const float* x, int64_t place) {
    const I a = codes_of(load(x), scales.inverse[i]), b = codes_of(load(x + 16), scales.inverse[i]);
    const int64_t code = place * kGroup;
    if (job.high) {
      store_planes(a, q.codes + code, q.low + code);
      store_planes(b, q.codes + code + 16, q.low + code + 16);
    } else {
      store_bytes(q.codes + code, a);
      store_bytes(q.codes + code + 16, b);
    }
    store_int(lanes[i], add(a, b));
    if (halves) store_int(second[i], b);
  });
  store_int(sums, sum_each(lanes));
  if (halves) {
    for (int i = n; i < kCells; i++) store_int(second[i], set1_int(0));
    store_int(seconds, sum_each(second));
  }
  cells.each(job, [&](int i, const float*, int64_t place) {
    if (job.paired && i % 2 == 0) store_pair(q, place, scales, i, sums + i, n - i < 2 ? n - i : 2);
    if (!job.single) return;
    float* factors = q.factors + numbers_at(place, 3);
    factors[0] = scales.scale[i];
    factors[kRowBlock] = -(scales.scale[i] * kMagic);
    factors[2 * kRowBlock] = scales.scale[i] * (float)sums[i];
  });
  for (int p = 0; p < job.n_parts; p++) {
    if (q.starts[p] == nullptr) continue;
    const Format& format = *job.parts[p].format;
    const int32_t base = job.high || format.code_bits == 4 ? 0 : kMagicBits, zero = format.zero;
    const bool by_half = format.scales_per_group == 2;
    cells.each(job, [&](int i, const float*, int64_t place) {
      int32_t* starts = q.starts[p] + numbers_at(place, 2);
      starts[0] = base - zero * (by_half ? sums[i] - seconds[i] : sums[i]);
      if (by_half) starts[kRowBlock] = base - zero * seconds[i];
    });
  }
}

/// Groups [first, first + n) of a row, whose values begin at x.
static void quantise(const LinearJob& job, const QuantisedRows& q, const float* x, int64_t row, int64_t first,
                     int64_t n) {
  for (int64_t g = 0; g < n; g += kCells) {
    const int cells = n - g < kCells ? (int)(n - g) : kCells;
    quantise_cells(job, q, {x + g * kGroup, 0, row, first + g, cells, cells});
  }
}

/// The rows of x that a kernel works on, at their first group.
struct RowView {
  const int8_t *codes, *low;
  const float* factors;  // of a pair: its scale
  const int32_t *starts, *pairs;
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
  static constexpr bool half_float = kHalfFloat, minima = kMinima, pairs = kBits == 4;
  // Parts of a group or pair (layout.h), in bytes.
  static constexpr int64_t group_codes = 64 * kBits, codes = pairs && kMinima ? 64 : 0;
  static constexpr int64_t scales = codes + (pairs ? 2 : 1) * group_codes, factors = 16 * (kHalfFloat ? 2 : 4);
  static constexpr int64_t stride = scales + factors * (pairs ? 2 : kHalves + (kMinima ? 1 : 0));

  /// Scales of a half or of a group of a pair; behind the last of them, for single groups, the minima.
  QR_INLINE_MEMBER static F load_factors(const uint8_t* at, int index) {
    at += scales + index * factors;
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

template <class T>
QR_INLINE void fetch_ahead(const uint8_t* tile) {
  QR_UNROLL for (int64_t ahead = 0; ahead < T::stride; ahead += 64) __builtin_prefetch(tile + kPrefetch + ahead);
}

/// What the minima of a pair add to a row, in units of the outputs and of the row's scale.
template <bool kHigh>
QR_INLINE F minima_of_pair(Bytes minima, const int32_t* pair) {
  const F sum = to_float(dot_words(minima, pair[2 * kRowBlock]));
  if constexpr (!kHigh) return sum;
  return fma(sum, set1(256.0f), to_float(dot_words(minima, pair[3 * kRowBlock])));
}

/// 16 outputs of each of kRows rows, over all pairs of groups of a tile.
template <class T, bool kHigh, int kRows>
QR_INLINE void tile_pairs(const uint8_t* tile, RowView x, int64_t pairs, F (&acc)[kRows]) {
  QR_UNROLL for (int r = 0; r < kRows; r++) acc[r] = zero();
  for (int64_t p = 0; p < pairs; p++) {
    fetch_ahead<T>(tile);
    F value[kRows];
    if constexpr (T::minima) {
      const Bytes minima = load_bytes(tile);
      QR_UNROLL for (int r = 0; r < kRows; r++) value[r] = minima_of_pair<kHigh>(minima, x.pairs + r);
    } else {
      QR_UNROLL for (int r = 0; r < kRows; r++) value[r] = zero();
    }
    QR_UNROLL for (int g = 0; g < 2; g++) {
      Dot<4> sum[kRows], low[kRows];
      int32_t start[kRows];
      QR_UNROLL for (int r = 0; r < kRows; r++) {
        start[r] = T::minima ? 0 : x.starts[g * 2 * kRowBlock + r];
        sum[r].start(kHigh ? 0 : start[r]);
        low[r].start(start[r]);
      }
      dot_group<T, kRows>(tile + T::codes + g * T::group_codes, 0, x.codes + g * kRowBlock * kGroup, sum);
      if constexpr (kHigh) dot_group<T, kRows>(tile + T::codes + g * T::group_codes, 0, x.low + g * kRowBlock * kGroup, low);
      const F d = T::load_factors(tile, g);
      QR_UNROLL for (int r = 0; r < kRows; r++) {
        const I dot = kHigh ? add(shift_left_8(sum[r].done(0)), low[r].done(start[r])) : sum[r].done(start[r]);
        value[r] = fma(to_float(shift_left(dot, x.pairs[g * kRowBlock + r])), d, value[r]);
      }
    }
    QR_UNROLL for (int r = 0; r < kRows; r++) acc[r] = fma(value[r], set1(x.factors[r]), acc[r]);
    tile += T::stride;
    x.codes += 2 * kRowBlock * kGroup;
    if (kHigh) x.low += 2 * kRowBlock * kGroup;
    x.factors += kRowBlock;
    x.pairs += 4 * kRowBlock;
    if (!T::minima) x.starts += 4 * kRowBlock;
  }
}

/// The same over single groups.
template <class T, bool kHigh, int kRows>
QR_INLINE void tile_rows(const uint8_t* tile, RowView x, int64_t groups, F (&acc)[kRows]) {
  QR_UNROLL for (int r = 0; r < kRows; r++) acc[r] = zero();
  for (int64_t g = 0; g < groups; g++) {
    fetch_ahead<T>(tile);
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
    tile += T::stride;
    x.codes += kRowBlock * kGroup;
    if (kHigh) x.low += kRowBlock * kGroup;
    x.factors += 3 * kRowBlock;
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
  const int64_t block = row / kRowBlock * group_slots(job.in_cols), in_block = row % kRowBlock;
  const int32_t* starts = q.starts[&part - job.parts];
  const int64_t code = (block * kRowBlock + in_block) * kGroup;
  RowView x = {q.codes + code, kHigh ? q.low + code : nullptr, nullptr,
               T::minima ? nullptr : starts + block * 2 * kRowBlock + in_block, nullptr};
  F acc[kRows];
  const uint8_t* packed = part.data + tile * part.tile.bytes;
  if constexpr (T::pairs) {
    x.factors = q.pair_scales + block / 2 * kRowBlock + in_block;
    x.pairs = q.pairs + block / 2 * 4 * kRowBlock + in_block;
    tile_pairs<T, kHigh, kRows>(packed, x, (groups + 1) / 2, acc);
    if constexpr (T::minima) {
      const F units = load((const float*)(packed + part.tile.units));
      __builtin_prefetch(packed + part.tile.units + kPrefetch);
      QR_UNROLL for (int r = 0; r < kRows; r++) acc[r] = mul(acc[r], units);
    }
  } else {
    x.factors = q.factors + block * 3 * kRowBlock + in_block;
    tile_rows<T, kHigh, kRows>(packed, x, groups, acc);
  }
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
