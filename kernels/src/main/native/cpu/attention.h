// Attention over the paged cache. Included by kernels.cpp.
//
// An item is a tile of query tokens of one sequence with some query heads of one kv head; its rows share the loads of
// keys and values. Scores of all visible positions go to scratch; then softmax, then the values in order of position.
// Each row is computed by a fixed sequence of operations over its own positions [from, to), whatever the tile.

namespace quire::QR_LEVEL {

struct AttentionItem {
  const AttentionJob& job;
  const int32_t* blocks;  // of the sequence
  int kv_head, first_head, heads, first_token, rows, dim, block_tokens;
  bool half;
  float *queries, *scores, *values;  // scratch: [rows / 4][dim][4], [rows][stride], [rows][dim]
  int64_t stride, base;              // base: position of column 0 of scores, a multiple of 16

  QR_INLINE_MEMBER int token(int row) const { return first_token + row / heads; }
  QR_INLINE_MEMBER int64_t to(int row) const { return (int64_t)job.step->position[token(row)] + 1; }
  QR_INLINE_MEMBER int64_t from(int row) const {
    const int64_t first = job.op->window > 0 ? to(row) - job.op->window : 0;
    return first > 0 ? first : 0;
  }
  /// Element index in the cache of this head's part of the block that holds a position.
  QR_INLINE_MEMBER int64_t block_at(int64_t position) const {
    const int64_t block = blocks[position / block_tokens];
    return (block * job.op->kv_heads + kv_head) * (int64_t)dim * block_tokens;
  }
};

template <bool kHalf>
QR_INLINE F load_kv(uint64_t cache, int64_t at) {
  if constexpr (kHalf) {
    return load_f16((const uint16_t*)cache + at);
  } else {
    return load((const float*)cache + at);
  }
}

template <bool kHalf>
QR_INLINE F load_kv_n(uint64_t cache, int64_t at, int n) {
  if constexpr (kHalf) {
    return load_f16_n((const uint16_t*)cache + at, n);
  } else {
    return load_n((const float*)cache + at, n);
  }
}

/// Fetches this head's part of the blocks that hold positions [from, to): blocks lie anywhere in memory, and a processor
/// does not foresee where the next one is.
template <bool kHalf>
QR_INLINE void prefetch_blocks(const AttentionItem& it, uint64_t cache, int64_t from, int64_t to) {
  const int64_t bytes = (int64_t)it.dim * it.block_tokens * (kHalf ? 2 : 4);
  for (int64_t p = from; p < to; p += it.block_tokens) {
    const char* block = (const char*)cache + it.block_at(p) * (kHalf ? 2 : 4);
    for (int64_t line = 0; line < bytes; line += 64) __builtin_prefetch(block + line);
  }
}

/// Dot products of kRows rows with kAttentionCols vectors of 16 positions; columns past `end` repeat the last one.
template <bool kHalf, int kRows>
QR_INLINE void score_block(const AttentionItem& it, const float* q, float* scores, int64_t position,
                           int64_t end) {
  int64_t key[kAttentionCols];
  for (int c = 0; c < kAttentionCols; c++) {
    int64_t p = position + c * 16;
    if (p >= end) p = (end - 1) / 16 * 16;
    key[c] = it.block_at(p) + p % it.block_tokens;
  }
  F acc[kRows][kAttentionCols];
  QR_UNROLL for (int r = 0; r < kRows; r++) {
    QR_UNROLL for (int c = 0; c < kAttentionCols; c++) acc[r][c] = zero();
  }
  for (int d = 0; d < it.dim; d++) {
    F k[kAttentionCols];
    QR_UNROLL for (int c = 0; c < kAttentionCols; c++) {
      k[c] = load_kv<kHalf>(it.job.op->k_cache, key[c]);
      key[c] += it.block_tokens;
    }
    QR_UNROLL for (int r = 0; r < kRows; r++) {
      const F x = set1(q[d * kScoreRows + r]);
      QR_UNROLL for (int c = 0; c < kAttentionCols; c++) acc[r][c] = fma(x, k[c], acc[r][c]);
    }
  }
  QR_UNROLL for (int r = 0; r < kRows; r++) {
    QR_UNROLL for (int c = 0; c < kAttentionCols; c++) {
      store(scores + r * it.stride + c * 16, acc[r][c]);
    }
  }
}

template <bool kHalf>
static void score_columns(const AttentionItem& it, int64_t position) {
  constexpr int64_t width = kAttentionCols * 16;
  for (int row = 0; row < it.rows; row += kScoreRows) {
    const int n = it.rows - row < kScoreRows ? it.rows - row : kScoreRows;
    const int64_t end = it.to(row + n - 1);
    if (position >= end || position + width <= it.from(row)) continue;
    const float* q = it.queries + (int64_t)row * it.dim;
    float* scores = it.scores + row * it.stride + (position - it.base);
    if constexpr (kScoreRows == 1) {
      score_block<kHalf, 1>(it, q, scores, position, end);
    } else {
      switch (n) {
        case 1: score_block<kHalf, 1>(it, q, scores, position, end); break;
        case 2: score_block<kHalf, 2>(it, q, scores, position, end); break;
        case 3: score_block<kHalf, 3>(it, q, scores, position, end); break;
        default: score_block<kHalf, 4>(it, q, scores, position, end); break;
      }
    }
  }
}

/// Scores of a row to weights e^(score - largest), zero outside [from, to); returns their sum.
static float softmax_row(const AttentionItem& it, int row) {
  const int64_t from = it.from(row) - it.base, to = it.to(row) - it.base, begin = from / 16 * 16;
  const float cap = it.job.op->softcap;
  const F scale = set1(it.job.op->scale);
  float* s = it.scores + row * it.stride;
  F most = set1(-__builtin_inff());
  for (int64_t i = begin; i < to; i += 16) {
    F v = mul(load(s + i), scale);
    if (cap > 0.0f) v = mul(set1(cap), tanh(div(v, set1(cap))));
    const int first = i < from ? (int)(from - i) : 0, last = to - i < 16 ? (int)(to - i) : 16;
    v = keep_lanes(v, first, last, -__builtin_inff());
    store(s + i, v);
    most = max(most, v);
  }
  const F top = set1(largest(most));
  F total = zero();
  for (int64_t i = begin; i < to; i += 16) {
    const F w = exp(sub(load(s + i), top));
    store(s + i, w);
    total = add(total, w);
  }
  return sum(total);
}

/// values[r][d..] += weights * V over positions [from, to), for kRows rows and kVectors vectors of columns (or n < 16).
template <bool kHalf, int kRows, int kVectors>
QR_INLINE void value_block(const AttentionItem& it, int row, int d, int n, int64_t from, int64_t to) {
  F acc[kRows][kVectors];
  float* out = it.values + (int64_t)row * it.dim + d;
  QR_UNROLL for (int r = 0; r < kRows; r++) {
    QR_UNROLL for (int v = 0; v < kVectors; v++) {
      acc[r][v] = kVectors == 1 ? load_n(out + r * it.dim, n) : load(out + r * it.dim + v * 16);
    }
  }
  const float* weights = it.scores + row * it.stride - it.base;
  for (int64_t p = from; p < to;) {
    const int64_t offset = p % it.block_tokens;
    const int64_t end = p - offset + it.block_tokens < to ? p - offset + it.block_tokens : to;
    if (row == 0 && d == 0 && end < to) prefetch_blocks<kHalf>(it, it.job.op->v_cache, end, end + 1);
    int64_t at = it.block_at(p) + offset * it.dim + d;
    for (; p < end; p++, at += it.dim) {
      F v[kVectors];
      QR_UNROLL for (int i = 0; i < kVectors; i++) {
        v[i] = kVectors == 1 ? load_kv_n<kHalf>(it.job.op->v_cache, at, n)
                             : load_kv<kHalf>(it.job.op->v_cache, at + i * 16);
      }
      QR_UNROLL for (int r = 0; r < kRows; r++) {
        const F w = set1(weights[r * it.stride + p]);
        QR_UNROLL for (int i = 0; i < kVectors; i++) acc[r][i] = fma(w, v[i], acc[r][i]);
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

template <bool kHalf, int kRows>
static void value_rows(const AttentionItem& it, int row, int64_t from, int64_t to) {
  if (from >= to) return;
  int d = 0;
  for (; d + 64 <= it.dim; d += 64) value_block<kHalf, kRows, 4>(it, row, d, 16, from, to);
  for (; d < it.dim; d += 16) {
    value_block<kHalf, kRows, 1>(it, row, d, it.dim - d < 16 ? it.dim - d : 16, from, to);
  }
}

/// Positions that all rows of a block see are done together, those before and after row by row: so a position outside
/// of a row's range is never read for it, and the order stays that of the positions.
template <bool kHalf>
static void values_of(const AttentionItem& it, int row, int n) {
  const int64_t from = it.from(row + n - 1), to = it.to(row);
  const bool common = from < to;
  for (int r = row; r < row + n; r++) {
    value_rows<kHalf, 1>(it, r, it.from(r), common ? from : it.to(r));
  }
  if (!common) return;
  if constexpr (kScoreRows == 1) {
    value_rows<kHalf, 1>(it, row, from, to);
  } else {
    switch (n) {
      case 1: value_rows<kHalf, 1>(it, row, from, to); break;
      case 2: value_rows<kHalf, 2>(it, row, from, to); break;
      case 3: value_rows<kHalf, 3>(it, row, from, to); break;
      default: value_rows<kHalf, 4>(it, row, from, to); break;
    }
  }
  for (int r = row; r < row + n; r++) value_rows<kHalf, 1>(it, r, to, it.to(r));
}

template <bool kHalf>
static void attend(const AttentionItem& it) {
  constexpr int64_t width = kAttentionCols * 16;
  const int64_t end = it.to(it.rows - 1);
  for (int64_t p = it.base; p < end; p += width) {
    const int64_t ahead = p + width < end ? p + 2 * width < end ? p + 2 * width : end : p + width;
    prefetch_blocks<kHalf>(it, it.job.op->k_cache, p + width, ahead);
    score_columns<kHalf>(it, p);
  }
  prefetch_blocks<kHalf>(it, it.job.op->v_cache, it.base, it.base + 1);
  for (int row = 0; row < it.rows; row += kScoreRows) {
    const int n = it.rows - row < kScoreRows ? it.rows - row : kScoreRows;
    float total[kScoreRows];
    for (int r = 0; r < n; r++) total[r] = softmax_row(it, row + r);
    memset(it.values + (int64_t)row * it.dim, 0, (size_t)n * it.dim * sizeof(float));
    values_of<kHalf>(it, row, n);
    for (int r = 0; r < n; r++) {
      const int head = it.first_head + (row + r) % it.heads;
      const float* in = it.values + (int64_t)(row + r) * it.dim;
      float* out = (float*)it.job.op->out +
                   ((int64_t)it.token(row + r) * it.job.op->heads + head) * it.dim;
      const F inverse = set1(1.0f / total[r]);
      for (int d = 0; d < it.dim; d += 16) {
        const int lanes = it.dim - d < 16 ? it.dim - d : 16;
        store_n(out + d, mul(load_n(in + d, lanes), inverse), lanes);
      }
      if (it.job.feeds != nullptr) {
        const int64_t groups = it.dim / kGroup;
        quantise(*it.job.feeds, it.job.feeds->q, out, it.token(row + r), head * groups, groups);
      }
    }
  }
}

static void attention(const AttentionJob& job, int64_t item, float* scratch) {
  const QrAttention& op = *job.op;
  const AttentionTile& tile = job.tiles[item % job.n_tiles];
  const int64_t part = item / job.n_tiles;
  const int kv_head = (int)(part / job.splits), split = (int)(part % job.splits);
  const int group = op.heads / op.kv_heads, first = split * job.heads_per_item;
  const int heads = group - first < job.heads_per_item ? group - first : job.heads_per_item;
  AttentionItem it = {job, job.step->block_table + (int64_t)tile.sequence * job.step->table_stride,
                      kv_head, kv_head * group + first, heads, tile.first, tile.count * heads,
                      op.head_dim, op.block_tokens, op.kv_type == QR_F16,
                      nullptr, nullptr, nullptr, 0, 0};
  it.base = it.from(0) / 16 * 16;
  it.stride = score_stride(it.to(it.rows - 1) - it.base);
  const int64_t padded = round_up(it.rows, kScoreRows) * it.dim;
  it.queries = scratch;
  it.values = scratch + round_up(padded, 16);
  it.scores = it.values + round_up(padded, 16);
  for (int r = 0; r < it.rows; r++) {
    const int64_t head = it.first_head + r % it.heads;
    const float* q = (const float*)op.q + ((int64_t)it.token(r) * op.heads + head) * op.head_dim;
    float* to = it.queries + (int64_t)(r / kScoreRows) * kScoreRows * op.head_dim + r % kScoreRows;
    for (int d = 0; d < op.head_dim; d++) to[d * kScoreRows] = q[d];
  }
  if (it.half) {
    attend<true>(it);
  } else {
    attend<false>(it);
  }
}

}  // namespace quire::QR_LEVEL
