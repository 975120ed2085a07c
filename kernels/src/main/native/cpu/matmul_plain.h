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
  const bool whole = n == kTileRows;  // stores in part keep loads waiting
  const auto read = [&](const float* p) { return whole ? load(p) : load_n(p, n); };
  if (job.bias != nullptr) value = add(value, read(job.bias + part.column + first));
  if (job.add) value = add(read(out), value);
  if (whole) {
    store(out, value);
  } else {
    store_n(out, value, n);
  }
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

template <int kType, int kRows>
static void plain_block(const TileWork& work, int64_t tile, int64_t row) {
  const uint8_t* w = work.part.data + tile * work.part.tile.bytes;
  const int64_t cols = work.job.in_cols;
  const float* x = work.job.x + row * cols;
  F acc[kRows];
  QR_UNROLL for (int r = 0; r < kRows; r++) acc[r] = zero();
  for (int64_t k = 0; k < cols; k++) {
    const F column = load_plain<kType>(w, k);
    QR_UNROLL for (int r = 0; r < kRows; r++) acc[r] = fma(set1(x[r * cols + k]), column, acc[r]);
  }
  for (int r = 0; r < kRows; r++) write_tile(work, tile, row + r, acc[r]);
}

template <int kType>
static void plain_tiles(const TileWork& work, int64_t tile, int64_t tiles_end, int64_t row, int64_t end) {
  for (; tile < tiles_end; tile++) {
    int64_t r = row;
    if constexpr (kPlainRows > 1) {
      for (; r + kPlainRows <= end; r += kPlainRows) plain_block<kType, kPlainRows>(work, tile, r);
    }
    for (; r < end; r++) plain_block<kType, 1>(work, tile, r);
  }
}

}  // namespace quire::QR_LEVEL
