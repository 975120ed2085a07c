// The kernels of one level. build.sh compiles this file once per level, with QR_LEVEL naming its namespace.
#include "kernels.h"

#include "simd.h"
// The parts, in order of use; each belongs to this translation unit alone.
#include "matmul_plain.h"
#include "matmul_quant.h"
#include "elementwise.h"
#include "attention.h"

namespace quire::QR_LEVEL {

static void part_tiles(const LinearJob& job, const LinearPart& part, int64_t tile, int64_t tiles_end,
                       int64_t row, int64_t end) {
  switch (part.format->type) {
    case QR_F32: plain_tiles<QR_F32>(job, part, tile, tiles_end, row, end); break;
    case QR_F16: plain_tiles<QR_F16>(job, part, tile, tiles_end, row, end); break;
    case QR_BF16: plain_tiles<QR_BF16>(job, part, tile, tiles_end, row, end); break;
    case QR_Q4_0: quant_tiles<QuantType<4, true, false, 1>>(job, part, tile, tiles_end, row, end); break;
    case QR_Q4_1: quant_tiles<QuantType<4, true, true, 1>>(job, part, tile, tiles_end, row, end); break;
    case QR_Q5_0:
    case QR_Q8_0: quant_tiles<QuantType<8, true, false, 1>>(job, part, tile, tiles_end, row, end); break;
    case QR_Q5_1: quant_tiles<QuantType<8, true, true, 1>>(job, part, tile, tiles_end, row, end); break;
    case QR_Q4_K: quant_tiles<QuantType<4, false, true, 1>>(job, part, tile, tiles_end, row, end); break;
    case QR_Q5_K: quant_tiles<QuantType<8, false, true, 1>>(job, part, tile, tiles_end, row, end); break;
    default: quant_tiles<QuantType<8, false, false, 2>>(job, part, tile, tiles_end, row, end); break;
  }
}

static void linear(const LinearJob& job, int64_t item) {
  int64_t tile = item % job.tile_items * job.tiles_per_item;
  const int64_t row = item / job.tile_items * job.rows_per_item;
  const int64_t end = row + job.rows_per_item < job.rows ? row + job.rows_per_item : job.rows;
  int64_t left = job.tiles_per_item;
  for (int p = 0; p < job.n_parts && left > 0; p++) {
    const LinearPart& part = job.parts[p];
    if (tile >= part.tiles) {
      tile -= part.tiles;
      continue;
    }
    const int64_t n = part.tiles - tile < left ? part.tiles - tile : left;
    part_tiles(job, part, tile, tile + n, row, end);
    left -= n;
    tile = 0;
  }
}

extern const Kernels kKernels;
const Kernels kKernels = {quantise, linear, rms_norm, gated, rope_kv, attention, scan, weigh};

}  // namespace quire::QR_LEVEL
