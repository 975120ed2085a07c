// Packed weights: what qr_pack writes and the kernels stream.
//
// A matrix is cut into tiles of 16 rows; the last one is padded with zeros. A tile of a quantised type holds its groups
// of 32 columns in order, so that a kernel reads one stream. A group is
//   codes   4 chunks of 64 bytes (4-bit) or 8 (8-bit). Byte 4 n + j of chunk c is the code of row n, column 4 c + j; a
//           4-bit chunk has column 4 (c + 4) + j in the high nibble.
//   scales  16 floats (Q6_K: 16 for each half), float16 where the file has float16
//   minima  the same for the types that have them (value = scale * code + minimum)
// A tile of a plain type holds the columns in order, 16 elements each.
#ifndef QUIRE_CPU_LAYOUT_H
#define QUIRE_CPU_LAYOUT_H

#include <stdint.h>

#include "quire.h"

namespace quire {

constexpr int kTileRows = 16;
constexpr int kGroup = 32;

/// How a weight type is stored once packed.
struct Format {
  int32_t type;
  int block_cols, block_bytes;  // in the file
  int code_bits;                // 4 or 8; 0 for plain types
  bool half_scales;             // scales (and minima) are float16
  bool minima;                  // value = scale * code + minimum
  int zero;                     // otherwise value = scale * (code - zero)
  int scales_per_group;         // 2: one per 16 columns
};

/// The format of a type, or null when there is no such type.
const Format* format_of(int32_t type);

/// Where the parts of a group lie, in bytes from its start, and the bytes of a group and of a tile.
struct TileLayout {
  int64_t scales, minima, group, bytes;
};

static inline int64_t round_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

static inline TileLayout tile_layout(const Format& f, int64_t cols) {
  if (f.code_bits == 0) {
    return {0, 0, 0, round_up(cols * kTileRows * f.block_bytes, 64)};
  }
  const int64_t codes = kGroup * kTileRows * f.code_bits / 8;
  const int64_t factors = kTileRows * (f.half_scales ? 2 : 4);
  const int64_t minima = codes + factors * f.scales_per_group;
  const int64_t group = minima + (f.minima ? factors : 0);
  return {codes, minima, group, round_up(cols / kGroup * group, 64)};
}

static inline int64_t tile_count(int64_t rows) { return (rows + kTileRows - 1) / kTileRows; }

}  // namespace quire

#endif
