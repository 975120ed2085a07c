// Linear operations on float weights: float32 multiply-adds, columns in order. Included by kernels.cpp.

namespace quire::QR_LEVEL {

/// Where outputs go: element (row, column) is at out[(row - first_row) * stride + column - first_column].
struct Sink {
  float* out;
  int64_t stride, first_row, first_column;
};

/// What a tile kernel works on: tiles of a part, from the job's rows in their quantised form.
struct TileWork {
  const LinearJob& job;
  const QuantisedRows& q;
  const LinearPart& part;
  const Sink& sink;
};

/// Writes (or adds) 16 outputs of a row, with the bias.
QR_INLINE void write_tile(const TileWork& work, int64_t tile, int64_t row, F value) {
  const LinearJob& job = work.job;
  const LinearPart& part = work.part;
  const int64_t first = tile * kTileRows, left = part.rows - first;
  const int n = left < kTileRows ? (int)left : kTileRows;
  float* out = work.sink.out + (row - work.sink.first_row) * work.sink.stride + part.column + first -
               work.sink.first_column;
  if (job.bias != nullptr) value = add(value, load_n(job.bias + part.column + first, n));
  if (job.add) value = add(load_n(out, n), value);
  store_n(out, value, n);
}

template <int kType>
QR_INLINE F load_plain(const uint8_t* tile, int64_t column) {
  if constexpr (kType == QR_F32) {
    return load((const float*)tile + column * 16);
  } else if constexpr (kType == QR_F16) {
    return load_f16((const uint16_t*)tile + column * 16);
  } else {
    return load_bf16((const uint16_t*)tile + column * 16);
  }
}

template <int kType, int kTiles, int kRows>
static void plain_block(const TileWork& work, int64_t tile, int64_t row) {
  const LinearPart& part = work.part;
  const uint8_t* w[kTiles];
  for (int t = 0; t < kTiles; t++) w[t] = part.data + (tile + t) * part.tile.bytes;
  const int64_t cols = work.job.in_cols;
  const float* x = work.job.x + row * cols;
  F acc[kRows][kTiles];
  QR_UNROLL for (int r = 0; r < kRows; r++) {
    QR_UNROLL for (int t = 0; t < kTiles; t++) acc[r][t] = zero();
  }
  for (int64_t k = 0; k < cols; k++) {
    F column[kTiles];
    QR_UNROLL for (int t = 0; t < kTiles; t++) column[t] = load_plain<kType>(w[t], k);
    QR_UNROLL for (int r = 0; r < kRows; r++) {
      const F xk = set1(x[r * cols + k]);
      QR_UNROLL for (int t = 0; t < kTiles; t++) acc[r][t] = fma(xk, column[t], acc[r][t]);
    }
  }
  for (int r = 0; r < kRows; r++) {
    for (int t = 0; t < kTiles; t++) write_tile(work, tile + t, row + r, acc[r][t]);
  }
}

template <int kType, int kTiles>
static void plain_rows(const TileWork& work, int64_t tile, int64_t row, int64_t end) {
  if constexpr (kLinearRows >= 4) {
    for (; row + 4 <= end; row += 4) plain_block<kType, kTiles, 4>(work, tile, row);
  }
  for (; row < end; row++) plain_block<kType, kTiles, 1>(work, tile, row);
}

template <int kType>
static void plain_tiles(const TileWork& work, int64_t tile, int64_t tiles_end, int64_t row, int64_t end) {
  if constexpr (kLinearTiles >= 2) {
    for (; tile + 2 <= tiles_end; tile += 2) plain_rows<kType, 2>(work, tile, row, end);
  }
  for (; tile < tiles_end; tile++) plain_rows<kType, 1>(work, tile, row, end);
}

}  // namespace quire::QR_LEVEL
