// Packed weights: what qr_pack writes and the kernels stream.
//
// A matrix is cut into tiles of 16 rows; the last one is padded with zeros. A tile of a quantised type holds its groups
// of 32 columns in order, so that a kernel reads one stream. A group is
//   codes   4 chunks of 64 bytes (4-bit) or 8 (8-bit). Byte 4 n + j of chunk c is the code of row n, column 4 c + j; a
//           4-bit chunk has column 4 (c + 4) + j in the high nibble.
//   scales  16 floats (Q6_K: 16 for each half), float16 where the file has float16
//   minima  the same for the types that have them (value = scale * code + minimum)
// Groups of 4-bit types lie in pairs, the last one filled up with zeros, in the order in which they are read:
//   minima  16 times two int16, of the first and the second group
//   codes of both, scales of both
// Behind such pairs with minima come 16 floats, the units of the rows: powers of two by which the row's scales and minima
// are divided, so that the largest of them lies in [2^14, 2^15). NaN where one is not finite.
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

/// What a packed matrix of the type is made of: BF16 for F8_E4M3, else the type itself.
const Format* packed_format_of(int32_t type);

/// Where the parts of a group (or pair of groups) lie, in bytes from its start; its bytes; where the units of the rows lie
/// in a tile; and the bytes of a tile.
struct TileLayout {
  int64_t codes, scales, minima, stride, units, bytes;
};

static inline int64_t round_up(int64_t value, int64_t to) { return (value + to - 1) / to * to; }

static inline TileLayout tile_layout(const Format& f, int64_t cols) {
  if (f.code_bits == 0) {
    return {0, 0, 0, 0, 0, round_up(cols * kTileRows * f.block_bytes, 64)};
  }
  const bool pairs = f.code_bits == 4;
  const int64_t groups = pairs ? 2 : 1, factors = kTileRows * (f.half_scales ? 2 : 4);
  const int64_t codes = pairs && f.minima ? kTileRows * 4 : 0;
  const int64_t scales = codes + groups * kGroup * kTileRows * f.code_bits / 8;
  const int64_t behind = scales + groups * factors * f.scales_per_group;
  const int64_t stride = behind + (!pairs && f.minima ? factors : 0);
  const int64_t units = round_up((cols / kGroup + groups - 1) / groups * stride, 64);
  return {codes, scales, pairs ? 0 : behind, stride, units, units + (pairs && f.minima ? kTileRows * 4 : 0)};
}

/// Bytes of one head's part of a block of keys, or of values, in the KV cache.
static inline int64_t kv_head_bytes(int32_t type, int64_t head_dim, int64_t block_tokens) {
  if (type == QR_F32) return 4 * head_dim * block_tokens;
  return (type == QR_BF16 ? 2 * head_dim : head_dim + 4) * block_tokens;
}

static inline int64_t tile_count(int64_t rows) { return (rows + kTileRows - 1) / kTileRows; }

}  // namespace quire

#endif
