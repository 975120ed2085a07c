// Attention over the paged cache. Included by kernels.cpp.
//
// An item is a tile of query tokens of one sequence with some query heads of one kv head; its rows share the loads of
// keys and values. Scores of all visible positions go to scratch; then softmax, then the values in order of position.
// Each row is computed by a fixed sequence of operations over its own positions [from, to), whatever the tile.

namespace quire::QR_LEVEL {

/// Scores of a row to weights e^(scale (score - largest)), zero outside [from, to); returns their sum.
template <class Kv>
static float softmax_row(const AttentionItem& it, int row) {
  constexpr int64_t step = Weights<Kv>::positions;
  const int64_t from = it.from(row) - it.base, to = it.to(row) - it.base, begin = from / step * step;
  const int64_t first = from / 16 * 16, last = (to - 1) / 16 * 16, end = round_up(to, step);
  float* s = it.scores + row * it.stride;
  const float top = top_of_row(it, row, it.job.op->scale), never = -__builtin_inff();
  if (begin < first) store(s + begin, set1(never));
  if (last + 16 < end) store(s + last + 16, set1(never));
  Weights<Kv> weights(it.job.op->softcap > 0.0f ? 1.0f : it.job.op->scale, top);
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
    const float* in = (const float*)(it.job.op->v_cache + it.block_at(w * Kv::per_word)) + offset * it.dim + d;
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
  gather_queries<Kv>(it);
  constexpr int64_t width = kAttentionCols * 16;
  for (int64_t p = it.begin(); p < it.end(); p += width) score_columns<Kv>(it, p);
  float totals[kMostItemRows];
  memset(it.values, 0, (size_t)it.rows * it.dim * sizeof(float));
  if constexpr (Kv::scaled) {
    weigh_codes<Kv>(it, totals);
  } else {
    for (int row = 0; row < it.rows; row += kScoreRows) {
      const int n = it.rows - row < kScoreRows ? it.rows - row : kScoreRows;
      for (int r = row; r < row + n; r++) totals[r] = softmax_row<Kv>(it, r);
      values_of<Kv>(it, row, n);
    }
  }
  for (int r = 0; r < it.rows; r++) scale_row(it, r, set1(1.0f / totals[r]));
  if (it.job.feeds == nullptr) return;
  const int64_t groups = it.dim / kGroup;
  for (int row = 0; row < it.rows; row += it.heads) {
    quantise(*it.job.feeds, it.job.feeds->q, it.values + (int64_t)row * it.dim, it.token(row),
             it.first_head * groups, it.heads * groups);
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
  return {job, nullptr, job.step->block_table + (int64_t)tile.sequence * job.step->table_stride,
          kv_head, kv_head * group + first, heads, tile.first, tile.count * heads,
          op.head_dim, op.block_tokens, kv_head_bytes(op.kv_type, op.head_dim, op.block_tokens),
          nullptr, nullptr, nullptr, nullptr, 0, 0};
}

static void attention(const AttentionJob& job, int64_t item, float* scratch) {
  // From the last: prompts come after single tokens and are long, and what is long goes first.
  item = job.items - 1 - item;
  AttentionItem it = item_of(job, item);
  const int64_t after = item - job.threads;
  const AttentionItem next = item_of(job, after >= 0 ? after : item);
  if (after >= 0) it.next = &next;
  it.base = it.from(0) / kCodePositions * kCodePositions;
  it.stride = score_stride(it.end() - it.base);
  const int64_t padded = round_up(round_up(it.rows, kScoreRows) * it.dim, 32);
  it.queries = scratch;
  it.values = scratch + padded;
  it.scores = it.values + padded + kCodePositions / 2 * it.dim;
  if (it.rows > kScoreRows) it.words = it.values + padded;
  switch (job.op->kv_type) {
    case QR_F32: return attend<Float32>(it);
    case QR_BF16: return attend<Bfloat16>(it);
    case QR_KV_FP8: return attend<Fp8>(it);
    default: return attend<Int8>(it);
  }
}

}  // namespace quire::QR_LEVEL
