// Linear operations: items of work, and what is done with outputs while the cache holds them. Included by kernels.cpp.

namespace quire::QR_LEVEL {

static void part_tiles(const TileWork& work, int64_t tile, int64_t tiles_end, int64_t row, int64_t end) {
  switch (work.part.format->type) {
    case QR_F32: plain_tiles<QR_F32>(work, tile, tiles_end, row, end); break;
    case QR_F16: plain_tiles<QR_F16>(work, tile, tiles_end, row, end); break;
    case QR_BF16: plain_tiles<QR_BF16>(work, tile, tiles_end, row, end); break;
    case QR_Q4_0: quant_tiles<QuantType<4, true, false, 1>>(work, tile, tiles_end, row, end); break;
    case QR_Q4_1: quant_tiles<QuantType<4, true, true, 1>>(work, tile, tiles_end, row, end); break;
    case QR_Q5_0:
    case QR_Q8_0: quant_tiles<QuantType<8, true, false, 1>>(work, tile, tiles_end, row, end); break;
    case QR_Q5_1: quant_tiles<QuantType<8, true, true, 1>>(work, tile, tiles_end, row, end); break;
    case QR_Q4_K: quant_tiles<QuantType<4, false, true, 1>>(work, tile, tiles_end, row, end); break;
    case QR_Q5_K: quant_tiles<QuantType<8, false, true, 1>>(work, tile, tiles_end, row, end); break;
    default: quant_tiles<QuantType<8, false, false, 2>>(work, tile, tiles_end, row, end); break;
  }
}

/// Tiles [tile, tiles_end), counted over all parts, of rows [row, end).
static void stacked_tiles(const LinearJob& job, const QuantisedRows& q, const Sink& sink, int64_t tile,
                          int64_t tiles_end, int64_t row, int64_t end) {
  int64_t before = 0;
  for (int p = 0; p < job.n_parts; p++) {
    const LinearPart& part = job.parts[p];
    const int64_t from = tile > before ? tile - before : 0;
    const int64_t to = tiles_end - before < part.tiles ? tiles_end - before : part.tiles;
    if (from < to) part_tiles({job, q, part, sink}, from, to, row, end);
    before += part.tiles;
  }
}

/// act(gate) * up of a unit's columns, from [row][gate, up], which it takes the place of where only the next operation
/// wants it.
static void gate_unit(const LinearJob& job, int64_t unit, int64_t row, int64_t end, float* in) {
  const QrGated& op = *job.gate;
  const int columns = job.gate_columns, groups = columns / kGroup;
  for (int64_t r = row; r < end; r++) {
    float* pair = in + (r - row) * 2 * columns;
    float* out = job.feeds != nullptr ? pair : (float*)op.out + r * op.inner + unit * columns;
    for (int i = 0; i < columns; i += 16) {
      store(out + i, mul(activate(load(pair + i), op.activation), load(pair + columns + i)));
    }
  }
  if (job.feeds == nullptr) return;
  const int together = kCells / groups;
  for (int64_t r = row; r < end; r += together) {
    const int rows = end - r < together ? (int)(end - r) : together;
    const Cells cells = {in + (r - row) * 2 * columns, 2 * columns, r, unit * groups, groups, rows * groups};
    quantise_cells(*job.feeds, job.feeds->q, cells);
  }
}

static void gated_units(const LinearJob& job, const QuantisedRows& q, int64_t unit, int64_t row, int64_t end,
                        float* scratch) {
  const int columns = job.gate_columns;
  const int64_t gate = unit * columns, tile = unit * job.unit_tiles;
  const Sink gates = {scratch, 2 * columns, row, gate};
  const Sink ups = {scratch + columns, 2 * columns, row, job.parts[1].column + gate};
  stacked_tiles(job, q, gates, tile, tile + job.unit_tiles, row, end);
  stacked_tiles(job, q, ups, job.parts[0].tiles + tile, job.parts[0].tiles + tile + job.unit_tiles, row, end);
  gate_unit(job, unit, row, end, scratch);
}

static void roped_units(const LinearJob& job, const QuantisedRows& q, int64_t unit, int64_t row, int64_t end,
                        float* scratch) {
  const int d = job.rope->head_dim;
  const Sink heads = {scratch, d, row, unit * d};
  stacked_tiles(job, q, heads, unit * job.unit_tiles, (unit + 1) * job.unit_tiles, row, end);
  float* spare = scratch + (int64_t)kFusedRows * d;
  for (int64_t r = row; r < end; r++) {
    rope_head(*job.rope, *job.step, job.rope_flags, r, (int)unit, scratch + (r - row) * d, spare);
  }
}

static void linear(const LinearJob& job, const QuantisedRows& q, int64_t item, float* scratch) {
  // Items in a row share the weights, which come from far away; the rows are near.
  const int64_t row_items = job.items / job.unit_items;
  const int64_t first = item / row_items * job.units_per_item;
  const int64_t last = first + job.units_per_item < job.units ? first + job.units_per_item : job.units;
  const int64_t begin = item % row_items * job.rows_per_item;
  const int64_t end = begin + job.rows_per_item < job.rows ? begin + job.rows_per_item : job.rows;
  if (job.gate == nullptr && job.rope == nullptr) {
    const Sink out = {job.out, job.out_cols, 0, 0};
    const int64_t tiles_end = last * job.unit_tiles < job.tiles ? last * job.unit_tiles : job.tiles;
    stacked_tiles(job, q, out, first * job.unit_tiles, tiles_end, begin, end);
    return;
  }
  for (int64_t unit = first; unit < last; unit++) {
    for (int64_t row = begin; row < end; row += kFusedRows) {
      const int64_t to = row + kFusedRows < end ? row + kFusedRows : end;
      if (job.gate != nullptr) {
        gated_units(job, q, unit, row, to, scratch);
      } else {
        roped_units(job, q, unit, row, to, scratch);
      }
    }
  }
}

}  // namespace quire::QR_LEVEL
