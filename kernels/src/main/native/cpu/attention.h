// Attention over the paged cache. Included by kernels.cpp.
//
// An item is a tile of query tokens of one sequence with some query heads of one kv head; its rows share the loads of
// keys and values. Scores of all visible positions go to scratch; then softmax, then the values in order of position.
// Each row is computed by a fixed sequence of operations over its own positions [from, to), whatever the tile.
//
// Operands are read in words of 32 bits: a float32, or two neighbours in bfloat16, which one operation multiplies with
// two others and sums. Neighbours are elements of a head in queries and keys, positions in weights and values.

namespace quire::QR_LEVEL {

struct Float32 {
  static constexpr int per_word = 1;
};
struct Bfloat16 {
  static constexpr int per_word = 2;
};

/// sum + a b, word by word.
template <class Kv>
QR_INLINE F multiply_add(F a, F b, F sum) {
  if constexpr (Kv::per_word == 1) {
    return fma(a, b, sum);
  } else {
    return dot_bf16(a, b, sum);
  }
}

/// Positions whose keys, or values, are fetched while those before them are worked on: blocks lie anywhere in memory,
/// and a processor does not foresee where the next one is.
constexpr int64_t kPositionsAhead = 128;

struct AttentionItem {
  const AttentionJob& job;
  const AttentionItem* next;  // what this thread may well do next, or null
  const int32_t* blocks;      // of the sequence
  int kv_head, first_head, heads, first_token, rows, dim, block_tokens;
  int64_t block_words;                // of one head
  float *queries, *scores, *values;   // scratch: words [rows / kScoreRows][dim][kScoreRows], [rows][stride], [rows][dim]
  int64_t stride, base;               // base: position of column 0 of scores, a multiple of 32

  QR_INLINE_MEMBER int token(int row) const { return first_token + row / heads; }
  QR_INLINE_MEMBER int64_t to(int row) const { return (int64_t)job.step->position[token(row)] + 1; }
  QR_INLINE_MEMBER int64_t from(int row) const {
    const int64_t first = job.op->window > 0 ? to(row) - job.op->window : 0;
    return first > 0 ? first : 0;
  }
  QR_INLINE_MEMBER int64_t begin() const { return from(0) / 16 * 16; }
  QR_INLINE_MEMBER int64_t end() const { return to(rows - 1); }
  /// Word in the cache at which this head's part of the block begins that holds a position.
  QR_INLINE_MEMBER int64_t block_at(int64_t position) const {
    return ((int64_t)blocks[position / block_tokens] * job.op->kv_heads + kv_head) * block_words;
  }
};

/// f(n) with the number of rows, 1 to kRows, as a constant.
template <int kRows, class Function>
QR_INLINE void with_rows(int n, Function f) {
  if constexpr (kRows > 1) {
    if (n < kRows) return with_rows<kRows - 1>(n, f);
  }
  f(Count<kRows>{});
}

/// Where the keys of 16 positions begin; those past the end are the last ones.
QR_INLINE const float* keys_at(const AttentionItem& it, int64_t position, int64_t end) {
  const int64_t p = position < end ? position : (end - 1) / 16 * 16;
  return (const float*)it.job.op->k_cache + it.block_at(p) + p % it.block_tokens;
}

/// Where the values of 16 positions begin; for those past the end the keys that may be wanted then, or null.
template <class Kv>
QR_INLINE const float* values_at(const AttentionItem& it, int64_t position) {
  if (position < it.end()) {
    const int64_t word = position % it.block_tokens / Kv::per_word;
    return (const float*)it.job.op->v_cache + it.block_at(position) + word * it.dim;
  }
  if (it.next == nullptr) return nullptr;
  const int64_t after = it.next->begin() + position - round_up(it.end(), 16);
  return after < it.next->end() ? keys_at(*it.next, after, it.next->end()) : nullptr;
}

/// Dot products of kRows rows with kAttentionCols vectors of 16 positions; columns past `end` repeat the last one.
template <class Kv, int kRows, bool kFetch>
QR_INLINE void score_block(const AttentionItem& it, const float* q, float* scores, int64_t position,
                           int64_t end) {
  const float *key[kAttentionCols], *ahead[kAttentionCols];
  int64_t stride = it.block_tokens;
  for (int c = 0; c < kAttentionCols; c++) {
    key[c] = keys_at(it, position + c * 16, end);
    ahead[c] = key[c];
    if constexpr (!kFetch) continue;
    const int64_t p = position + kPositionsAhead;
    if (p < it.end()) {
      ahead[c] = keys_at(it, p + c * 16, it.end());
    } else {
      const float* value = values_at<Kv>(it, it.begin() + (p - round_up(it.end(), kAttentionCols * 16)) + c * 16);
      if (value != nullptr) ahead[c] = value;
      stride = 16;
    }
  }
  F acc[kRows][kAttentionCols];
  QR_UNROLL for (int r = 0; r < kRows; r++) {
    QR_UNROLL for (int c = 0; c < kAttentionCols; c++) acc[r][c] = zero();
  }
  const int words = it.dim / Kv::per_word;
  for (int w = 0; w < words; w++) {
    F k[kAttentionCols];
    QR_UNROLL for (int c = 0; c < kAttentionCols; c++) {
      k[c] = load(key[c]);
      key[c] += it.block_tokens;
    }
    if constexpr (kFetch) {
      QR_UNROLL for (int c = 0; c < kAttentionCols; c++) __builtin_prefetch(ahead[c] + w * stride, 0, 2);
    }
    QR_UNROLL for (int r = 0; r < kRows; r++) {
      const F x = set1(q[w * kScoreRows + r]);
      QR_UNROLL for (int c = 0; c < kAttentionCols; c++) acc[r][c] = multiply_add<Kv>(x, k[c], acc[r][c]);
    }
  }
  QR_UNROLL for (int r = 0; r < kRows; r++) {
    QR_UNROLL for (int c = 0; c < kAttentionCols; c++) {
      store(scores + r * it.stride + c * 16, acc[r][c]);
    }
  }
}

template <class Kv>
static void score_columns(const AttentionItem& it, int64_t position) {
  constexpr int64_t width = kAttentionCols * 16;
  for (int row = 0; row < it.rows; row += kScoreRows) {
    const int n = it.rows - row < kScoreRows ? it.rows - row : kScoreRows;
    const int64_t end = it.to(row + n - 1);
    if (position >= end || position + width <= it.from(row)) continue;
    const float* q = it.queries + (int64_t)row * it.dim;
    float* scores = it.scores + row * it.stride + (position - it.base);
    with_rows<kScoreRows>(n, [&](auto rows) {
      if (row == 0) {
        score_block<Kv, rows.value, true>(it, q, scores, position, end);
      } else {
        score_block<Kv, rows.value, false>(it, q, scores, position, end);
      }
    });
  }
}

/// Weights of 16 or 32 positions as words; adds them to the total as they were rounded.
template <class Kv>
struct Weights;

template <>
struct Weights<Float32> {
  static constexpr int positions = 16;
  F scale, top, total = zero();
  QR_INLINE_MEMBER Weights(float scale, float top) : scale(set1(scale)), top(set1(top * scale)) {}
  QR_INLINE_MEMBER F of(F score) const { return exp(sub(mul(score, scale), top)); }
  QR_INLINE_MEMBER F words(const F* scores) {
    const F weight = of(scores[0]);
    total = add(total, weight);
    return weight;
  }
};

template <>
struct Weights<Bfloat16> {
  static constexpr int positions = 32;
  F scale, top, total = zero();
  QR_INLINE_MEMBER Weights(float scale, float top)
      : scale(set1(scale * 1.44269504f)), top(set1(-(top * (scale * 1.44269504f)))) {}
  /// e^x as 2^n 2^f within 2^-13 of itself: 16 times closer than it will be rounded.
  QR_INLINE_MEMBER F of(F score) const {
    const float round = 12582912.0f;  // 1.5 * 2^23: adding it rounds to an integer in the low bits
    const F x = fma(score, scale, top);
    const F shifted = add(x, set1(round));
    const F f = sub(x, sub(shifted, set1(round)));
    F p = set1(0.05517166906f);
    p = fma(p, f, set1(0.2426111222f));
    p = fma(p, f, set1(0.6932609855f));
    p = fma(p, f, set1(0.9999280735f));
    const F power = as_float(add_int(shift_left_23(as_int(shifted)), 127 << 23));
    return zero_below(mul(p, power), x, -125.0f);
  }
  QR_INLINE_MEMBER F words(const F* scores) {
    const F pairs = pack_bf16(of(scores[0]), of(scores[1]));
    total = dot_bf16(pairs, as_float(set1_int(0x3f803f80)), total);
    return pairs;
  }
};

/// Scores of a row to weights e^(scale (score - largest)), zero outside [from, to); returns their sum.
template <class Kv>
static float softmax_row(const AttentionItem& it, int row) {
  constexpr int64_t step = Weights<Kv>::positions;
  const int64_t from = it.from(row) - it.base, to = it.to(row) - it.base, begin = from / step * step;
  const int64_t first = from / 16 * 16, last = (to - 1) / 16 * 16, end = round_up(to, step);
  float *s = it.scores + row * it.stride, scale = it.job.op->scale;
  if (it.job.op->softcap > 0.0f) {
    const F cap = set1(it.job.op->softcap);
    for (int64_t i = first; i <= last; i += 16) {
      store(s + i, mul(cap, tanh(div(mul(load(s + i), set1(scale)), cap))));
    }
    scale = 1.0f;
  }
  const float never = -__builtin_inff();
  if (begin < first) store(s + begin, set1(never));
  store(s + first, keep_lanes(load(s + first), (int)(from - first), 16, never));
  store(s + last, keep_lanes(load(s + last), 0, (int)(to - last), never));
  if (last + 16 < end) store(s + last + 16, set1(never));
  F most = set1(never);
  for (int64_t i = first; i <= last; i += 16) most = max(most, load(s + i));
  Weights<Kv> weights(scale, largest(most));
  for (int64_t i = begin; i < end; i += step) {
    F scores[step / 16];
    QR_UNROLL for (int v = 0; v < step / 16; v++) scores[v] = load(s + i + v * 16);
    store(s + i / Kv::per_word, weights.words(scores));
  }
  return sum(weights.total);
}

/// values[r][d..] += weights * V over words [from, to) of positions, for kRows rows and kVectors vectors of columns (or
/// n < 16); only those bits of a value count that are in `keep`.
template <class Kv, int kRows, int kVectors, bool kFetch>
QR_INLINE void value_block(const AttentionItem& it, int row, int d, int n, int64_t from, int64_t to, uint32_t keep) {
  F acc[kRows][kVectors];
  float* out = it.values + (int64_t)row * it.dim + d;
  QR_UNROLL for (int r = 0; r < kRows; r++) {
    QR_UNROLL for (int v = 0; v < kVectors; v++) {
      acc[r][v] = kVectors == 1 ? load_n(out + r * it.dim, n) : load(out + r * it.dim + v * 16);
    }
  }
  const float* weights = it.scores + row * it.stride - it.base / Kv::per_word;
  const int64_t block = it.block_tokens / Kv::per_word;
  for (int64_t w = from; w < to;) {
    const int64_t offset = w % block;
    const int64_t end = w - offset + block < to ? w - offset + block : to;
    const float* in = (const float*)it.job.op->v_cache + it.block_at(w * Kv::per_word) + offset * it.dim + d;
    const float* ahead = kFetch ? values_at<Kv>(it, w * Kv::per_word + kPositionsAhead) : nullptr;
    for (; w < end; w++, in += it.dim) {
      if (kFetch && ahead != nullptr) {
        QR_UNROLL for (int i = 0; i < kVectors; i++) __builtin_prefetch(ahead + d + i * 16, 0, 2);
        ahead += it.dim;
      }
      F v[kVectors];
      QR_UNROLL for (int i = 0; i < kVectors; i++) {
        v[i] = kVectors == 1 ? keep_bits(load_n(in, n), keep) : load(in + i * 16);
      }
      QR_UNROLL for (int r = 0; r < kRows; r++) {
        const F x = set1(weights[r * it.stride + w]);
        QR_UNROLL for (int i = 0; i < kVectors; i++) acc[r][i] = multiply_add<Kv>(x, v[i], acc[r][i]);
      }
    }
  }
  QR_UNROLL for (int r = 0; r < kRows; r++) {
    QR_UNROLL for (int v = 0; v < kVectors; v++) {
      if (kVectors == 1) {
        store_n(out + r * it.dim, acc[r][v], n);
      } else {
        store(out + r * it.dim + v * 16, acc[r][v]);
      }
    }
  }
}

/// Whole words of positions.
template <class Kv, int kRows, bool kFetch>
static void value_rows(const AttentionItem& it, int row, int64_t from, int64_t to) {
  if (from >= to) return;
  int d = 0;
  for (; d + 64 <= it.dim; d += 64) value_block<Kv, kRows, 4, kFetch>(it, row, d, 16, from, to, ~0u);
  for (; d < it.dim; d += 16) {
    value_block<Kv, kRows, 1, kFetch>(it, row, d, it.dim - d < 16 ? it.dim - d : 16, from, to, ~0u);
  }
}

/// Positions [from, to) of one row: what is outside of them in a word is not read, for it may be anything, NaN too.
template <class Kv>
static void value_row(const AttentionItem& it, int row, int64_t from, int64_t to) {
  if constexpr (Kv::per_word == 1) {
    value_rows<Kv, 1, false>(it, row, from, to);
  } else {
    const auto single = [&](int64_t position) {
      const uint32_t keep = position % 2 == 0 ? 0xffffu : 0xffff0000u;
      for (int d = 0; d < it.dim; d += 16) {
        value_block<Kv, 1, 1, false>(it, row, d, it.dim - d < 16 ? it.dim - d : 16, position / 2, position / 2 + 1, keep);
      }
    };
    if (from >= to) return;
    if (from % 2 != 0) single(from++);
    value_rows<Kv, 1, false>(it, row, from / 2, to / 2);
    if (from < to && to % 2 != 0) single(to - 1);
  }
}

/// Positions that all rows of a block see are done together, those before and after row by row: so a position outside
/// of a row's range is never read for it, and the order stays that of the positions.
template <class Kv>
static void values_of(const AttentionItem& it, int row, int n) {
  const int64_t from = round_up(it.from(row + n - 1), Kv::per_word), to = it.to(row) / Kv::per_word * Kv::per_word;
  const bool common = from < to;
  for (int r = row; r < row + n; r++) value_row<Kv>(it, r, it.from(r), common ? from : it.to(r));
  if (!common) return;
  with_rows<kScoreRows>(n, [&](auto rows) {
    if (row == 0) {
      value_rows<Kv, rows.value, true>(it, row, from / Kv::per_word, to / Kv::per_word);
    } else {
      value_rows<Kv, rows.value, false>(it, row, from / Kv::per_word, to / Kv::per_word);
    }
  });
  for (int r = row; r < row + n; r++) value_row<Kv>(it, r, to, it.to(r));
}

/// Weighted sums to averages, in place where only the next operation wants them.
QR_INLINE void scale_row(const AttentionItem& it, int row, F inverse) {
  const int head = it.first_head + row % it.heads;
  float* in = it.values + (int64_t)row * it.dim;
  float* out = it.job.feeds != nullptr
                   ? in
                   : (float*)it.job.op->out + ((int64_t)it.token(row) * it.job.op->heads + head) * it.dim;
  int d = 0;
  for (; d + 16 <= it.dim; d += 16) store(out + d, mul(load(in + d), inverse));
  if (d < it.dim) store_n(out + d, mul(load_n(in + d, it.dim - d), inverse), it.dim - d);
}

template <class Kv>
static void attend(const AttentionItem& it) {
  constexpr int64_t width = kAttentionCols * 16;
  for (int64_t p = it.begin(); p < it.end(); p += width) score_columns<Kv>(it, p);
  for (int row = 0; row < it.rows; row += kScoreRows) {
    const int n = it.rows - row < kScoreRows ? it.rows - row : kScoreRows;
    float total[kScoreRows];
    for (int r = 0; r < n; r++) total[r] = softmax_row<Kv>(it, row + r);
    memset(it.values + (int64_t)row * it.dim, 0, (size_t)n * it.dim * sizeof(float));
    values_of<Kv>(it, row, n);
    for (int r = 0; r < n; r++) {
      scale_row(it, row + r, set1(1.0f / total[r]));
    }
  }
  if (it.job.feeds == nullptr) return;
  const int64_t groups = it.dim / kGroup;
  for (int row = 0; row < it.rows; row += it.heads) {
    quantise(*it.job.feeds, it.job.feeds->q, it.values + (int64_t)row * it.dim, it.token(row),
             it.first_head * groups, it.heads * groups);
  }
}

/// Queries as words, those of kScoreRows rows side by side.
template <class Kv>
static void gather_queries(const AttentionItem& it) {
  const QrAttention& op = *it.job.op;
  for (int r = 0; r < it.rows; r++) {
    const int64_t head = it.first_head + r % it.heads;
    const float* words = (const float*)op.q + ((int64_t)it.token(r) * op.heads + head) * op.head_dim;
    if constexpr (Kv::per_word == 2) {
      words = to_bf16(words, op.head_dim, it.values);
    }
    float* to = it.queries + (int64_t)(r / kScoreRows) * kScoreRows * op.head_dim + r % kScoreRows;
    for (int w = 0; w < op.head_dim / Kv::per_word; w++) to[w * kScoreRows] = words[w];
  }
}

QR_INLINE AttentionItem item_of(const AttentionJob& job, int64_t item) {
  const QrAttention& op = *job.op;
  // The heads of a sequence in turn, as they lie in a block, and the tiles of a prompt for each: those share the head.
  const AttentionTile& some = job.tiles[item / job.parts];
  const int64_t local = item - (int64_t)some.sequence_tile * job.parts;
  const AttentionTile& tile = job.tiles[some.sequence_tile + local % some.sequence_tiles];
  const int part = (int)(local / some.sequence_tiles), kv_head = part / job.splits, split = part % job.splits;
  const int group = op.heads / op.kv_heads, first = split * job.heads_per_item;
  const int heads = group - first < job.heads_per_item ? group - first : job.heads_per_item;
  const int per_word = op.kv_type == QR_F32 ? 1 : 2;
  return {job, nullptr, job.step->block_table + (int64_t)tile.sequence * job.step->table_stride,
          kv_head, kv_head * group + first, heads, tile.first, tile.count * heads,
          op.head_dim, op.block_tokens, (int64_t)op.head_dim * op.block_tokens / per_word,
          nullptr, nullptr, nullptr, 0, 0};
}

static void attention(const AttentionJob& job, int64_t item, float* scratch) {
  // From the last: prompts come after single tokens and are long, and what is long goes first.
  item = job.items - 1 - item;
  AttentionItem it = item_of(job, item);
  const int64_t after = item - job.threads;
  const AttentionItem next = item_of(job, after >= 0 ? after : item);
  if (after >= 0) it.next = &next;
  it.base = it.from(0) / 32 * 32;
  it.stride = score_stride(it.end() - it.base);
  const int64_t padded = round_up(round_up(it.rows, kScoreRows) * it.dim, 32);
  it.queries = scratch;
  it.values = scratch + padded;
  it.scores = it.values + padded;
  if (job.op->kv_type == QR_F32) {
    gather_queries<Float32>(it);
    attend<Float32>(it);
  } else {
    gather_queries<Bfloat16>(it);
    attend<Bfloat16>(it);
  }
}

}  // namespace quire::QR_LEVEL
