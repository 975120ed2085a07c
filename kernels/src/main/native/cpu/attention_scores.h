// An item of attention, its queries, and the scores of its rows. Included by kernels.cpp.

namespace quire::QR_LEVEL {

/// Positions whose keys, or values, are fetched while those before them are worked on: blocks lie anywhere in memory,
/// and a processor does not foresee where the next one is.
constexpr int64_t kPositionsAhead = 128;

struct AttentionItem {
  const AttentionJob& job;
  const AttentionItem* next;  // what this thread may well do next, or null
  const int32_t* blocks;      // of the sequence
  int kv_head, first_head, heads, first_token, rows, dim, block_tokens;
  int64_t head_bytes;                 // of one head in a block
  // Scratch: words [rows / kScoreRows][dim][kScoreRows], [rows][stride], [rows][dim]; and where codes are to be made
  // words of once for all rows, the room for those of kCodePositions, else null.
  float *queries, *scores, *values, *words;
  int64_t stride, base;               // base: position of column 0 of scores, a multiple of 64

  QR_INLINE_MEMBER int token(int row) const { return first_token + row / heads; }
  QR_INLINE_MEMBER int64_t to(int row) const { return (int64_t)job.step->position[token(row)] + 1; }
  QR_INLINE_MEMBER int64_t from(int row) const {
    const int64_t first = job.op->window > 0 ? to(row) - job.op->window : 0;
    return first > 0 ? first : 0;
  }
  QR_INLINE_MEMBER int64_t begin() const { return from(0) / 16 * 16; }
  QR_INLINE_MEMBER int64_t end() const { return to(rows - 1); }
  /// Byte in the cache at which this head's part of the block begins that holds a position.
  QR_INLINE_MEMBER int64_t block_at(int64_t position) const {
    return ((int64_t)blocks[position / block_tokens] * job.op->kv_heads + kv_head) * head_bytes;
  }
  /// The scales of the keys, or of the values, from a position on to the end of its block.
  QR_INLINE_MEMBER const float* scales_at(uint64_t cache, int64_t position) const {
    return (const float*)(cache + block_at(position) + dim * block_tokens) + position % block_tokens;
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
QR_INLINE int64_t clamped(int64_t position, int64_t end) { return position < end ? position : (end - 1) / 16 * 16; }
template <class Kv>
QR_INLINE const typename Kv::Word* keys_at(const AttentionItem& it, int64_t position, int64_t end) {
  const int64_t p = clamped(position, end);
  return (const typename Kv::Word*)(it.job.op->k_cache + it.block_at(p)) + p % it.block_tokens;
}

/// Where the values of 16 positions begin; for those past the end the keys that may be wanted then, or null.
template <class Kv>
QR_INLINE const typename Kv::Word* values_at(const AttentionItem& it, int64_t position) {
  if (position < it.end()) {
    const int64_t word = position % it.block_tokens / Kv::per_word;
    return (const typename Kv::Word*)(it.job.op->v_cache + it.block_at(position)) + word * it.dim;
  }
  if (it.next == nullptr) return nullptr;
  const int64_t after = it.next->begin() + position - round_up(it.end(), 16);
  return after < it.next->end() ? keys_at<Kv>(*it.next, after, it.next->end()) : nullptr;
}

/// The keys of kAttentionCols vectors of 16 positions, word by word; those past `end` are the last ones. What may be
/// wanted next is fetched beside them.
template <class Kv>
struct Keys {
  const typename Kv::Word *key[kAttentionCols], *ahead[kAttentionCols];
  int64_t step, stride;  // from word to word

  QR_INLINE_MEMBER Keys(const AttentionItem& it, int64_t position, int64_t end) : step(it.block_tokens), stride(step) {
    for (int c = 0; c < kAttentionCols; c++) ahead[c] = key[c] = keys_at<Kv>(it, position + c * 16, end);
  }
  QR_INLINE_MEMBER explicit Keys(const float* words) : step(kAttentionCols * 16), stride(0) {
    for (int c = 0; c < kAttentionCols; c++) ahead[c] = key[c] = words + c * 16;
  }
  QR_INLINE_MEMBER void look_ahead(const AttentionItem& it, int64_t position) {
    const int64_t p = position + kPositionsAhead;
    for (int c = 0; c < kAttentionCols; c++) {
      if (p < it.end()) {
        ahead[c] = keys_at<Kv>(it, p + c * 16, it.end());
      } else {
        const auto value = values_at<Kv>(it, it.begin() + (p - round_up(it.end(), kAttentionCols * 16)) + c * 16);
        if (value != nullptr) ahead[c] = value;
        stride = 16;
      }
    }
  }
  template <bool kFetch>
  QR_INLINE_MEMBER void next(int w, typename Kv::Sum* k) {
    QR_UNROLL for (int c = 0; c < kAttentionCols; c++) {
      k[c] = Kv::load(key[c]);
      key[c] += step;
    }
    if constexpr (kFetch) {
      QR_UNROLL for (int c = 0; c < kAttentionCols; c++) __builtin_prefetch(ahead[c] + w * stride, 0, 2);
    }
  }
};

/// Dot products of kRows rows with kAttentionCols vectors of 16 positions.
template <class Kv, int kRows, bool kFetch>
QR_INLINE void score_block(const AttentionItem& it, Keys<Kv> keys, const float* q, float* scores, int64_t position,
                           int64_t end) {
  if constexpr (kFetch) keys.look_ahead(it, position);
  typename Kv::Sum acc[kRows][kAttentionCols];
  QR_UNROLL for (int r = 0; r < kRows; r++) {
    QR_UNROLL for (int c = 0; c < kAttentionCols; c++) acc[r][c] = Kv::nothing();
  }
  const int words = it.dim / Kv::per_word;
  for (int w = 0; w < words; w++) {
    typename Kv::Sum k[kAttentionCols];
    keys.template next<kFetch>(w, k);
    QR_UNROLL for (int r = 0; r < kRows; r++) {
      const F x = set1(q[w * kScoreRows + r]);
      QR_UNROLL for (int c = 0; c < kAttentionCols; c++) acc[r][c] = multiply_add<Kv>(x, k[c], acc[r][c]);
    }
  }
  QR_UNROLL for (int c = 0; c < kAttentionCols; c++) {
    F scale;
    if constexpr (Kv::scaled) scale = load(it.scales_at(it.job.op->k_cache, clamped(position + c * 16, end)));
    QR_UNROLL for (int r = 0; r < kRows; r++) {
      float* to = scores + r * it.stride + c * 16;
      if constexpr (Kv::scaled) {
        store(to, mul(Kv::sum(acc[r][c]), scale));
      } else {
        store(to, acc[r][c]);
      }
    }
  }
}

/// Codes of keys to words [dim / 2][kAttentionCols][16].
template <class Kv>
static void expand_keys(const AttentionItem& it, int64_t position) {
  Keys<Kv> keys(it, position, it.end());
  keys.look_ahead(it, position);
  for (int w = 0; w < it.dim / 2; w++) {
    typename Kv::Sum k[kAttentionCols];
    keys.template next<true>(w, k);
    for (int c = 0; c < kAttentionCols; c++) store(it.words + (w * kAttentionCols + c) * 16, Kv::in_float(k[c]));
  }
}

template <class Kv>
static void score_columns(const AttentionItem& it, int64_t position) {
  constexpr int64_t width = kAttentionCols * 16;
  if constexpr (Kv::scaled) {
    if (it.words != nullptr) expand_keys<Kv>(it, position);
  }
  for (int row = 0; row < it.rows; row += kScoreRows) {
    const int n = it.rows - row < kScoreRows ? it.rows - row : kScoreRows;
    const int64_t end = it.to(row + n - 1);
    if (position >= end || position + width <= it.from(row)) continue;
    const float* q = it.queries + (int64_t)row * it.dim;
    float* scores = it.scores + row * it.stride + (position - it.base);
    with_rows<kScoreRows>(n, [&](auto rows) {
      if constexpr (Kv::scaled) {
        if (it.words != nullptr) {
          return score_block<Expanded<Kv>, rows.value, false>(it, Keys<Expanded<Kv>>(it.words), q, scores, position, end);
        }
      }
      const Keys<Kv> keys(it, position, end);
      if (row == 0) {
        score_block<Kv, rows.value, true>(it, keys, q, scores, position, end);
      } else {
        score_block<Kv, rows.value, false>(it, keys, q, scores, position, end);
      }
    });
  }
}

/// Caps the scores of a row, scaled before, if it has a cap; hides those outside of its range in the vectors that it
/// shares; returns the largest.
static float top_of_row(const AttentionItem& it, int row, float scale) {
  const int64_t from = it.from(row) - it.base, to = it.to(row) - it.base;
  const int64_t first = from / 16 * 16, last = (to - 1) / 16 * 16;
  float* s = it.scores + row * it.stride;
  if (it.job.op->softcap > 0.0f) {
    const F cap = set1(it.job.op->softcap);
    for (int64_t i = first; i <= last; i += 16) {
      store(s + i, mul(cap, tanh(div(mul(load(s + i), set1(scale)), cap))));
    }
  }
  const float never = -__builtin_inff();
  store(s + first, keep_lanes(load(s + first), (int)(from - first), 16, never));
  store(s + last, keep_lanes(load(s + last), 0, (int)(to - last), never));
  F most = set1(never);
  for (int64_t i = first; i <= last; i += 16) most = max(most, load(s + i));
  return largest(most);
}

/// A head of a query as words, in `to` where it is not so already; for Int8 its scale comes behind them.
template <class Kv>
QR_INLINE const float* query_words(const float* query, int dim, float* to) {
  if constexpr (Kv::exact) return to_int16(query, dim, to);
  return Kv::per_word == 1 ? query : to_bf16(query, dim, to);
}

/// Queries as words, those of kScoreRows rows side by side.
template <class Kv>
static void gather_queries(const AttentionItem& it) {
  const QrAttention& op = *it.job.op;
  for (int r = 0; r < it.rows; r++) {
    const int64_t head = it.first_head + r % it.heads;
    const float* query = (const float*)op.q + ((int64_t)it.token(r) * op.heads + head) * op.head_dim;
    const float* words = query_words<Kv>(query, op.head_dim, it.values);
    float* to = it.queries + (int64_t)(r / kScoreRows) * kScoreRows * op.head_dim + r % kScoreRows;
    const int n = op.head_dim / Kv::per_word + (Kv::exact ? 1 : 0);
    for (int w = 0; w < n; w++) to[w * kScoreRows] = words[w];
  }
}

}  // namespace quire::QR_LEVEL
