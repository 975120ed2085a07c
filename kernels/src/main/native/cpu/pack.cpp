// From the block formats of the GGUF specification to the packed layout of layout.h, and back for embeddings.
#include <math.h>
#include <string.h>

#include "half.h"
#include "pack.h"

namespace quire {
namespace {

uint16_t read_u16(const uint8_t* p) {
  uint16_t value;
  memcpy(&value, p, 2);
  return value;
}

/// Low nibbles are columns 0 to 15, high nibbles 16 to 31; `high_bits` holds a fifth bit per column, or 0.
void nibbles(const uint8_t* codes, uint32_t high_bits, Group& g) {
  for (int i = 0; i < 16; i++) {
    g.code[i] = static_cast<uint8_t>((codes[i] & 15) | (high_bits >> i & 1) << 4);
    g.code[i + 16] = static_cast<uint8_t>(codes[i] >> 4 | (high_bits >> (i + 16) & 1) << 4);
  }
}

uint32_t read_u32(const uint8_t* p) {
  uint32_t value;
  memcpy(&value, p, 4);
  return value;
}

/// The 6-bit scale and minimum of group j of Q4_K and Q5_K: 8 pairs in 12 bytes.
void k_scale(const uint8_t* packed, int j, int* scale, int* minimum) {
  if (j < 4) {
    *scale = packed[j] & 63;
    *minimum = packed[j + 4] & 63;
  } else {
    *scale = (packed[j + 4] & 15) | packed[j - 4] >> 6 << 4;
    *minimum = packed[j + 4] >> 4 | packed[j] >> 6 << 4;
  }
}

/// Group j of a block: f16 d, f16 dmin, 12 bytes of scales, [32 bytes of fifth bits,] 128 bytes of nibbles.
void read_k45(const uint8_t* block, int j, bool five, Group& g) {
  int scale, minimum;
  k_scale(block + 4, j, &scale, &minimum);
  g.scale[0] = g.scale[1] = f16_to_float(read_u16(block)) * static_cast<float>(scale);
  g.minimum = -(f16_to_float(read_u16(block + 2)) * static_cast<float>(minimum));
  const uint8_t* codes = block + (five ? 48 : 16) + j / 2 * 32;
  for (int i = 0; i < kGroup; i++) {
    const int low = j % 2 == 0 ? codes[i] & 15 : codes[i] >> 4;
    const int fifth = five ? block[16 + i] >> j & 1 : 0;
    g.code[i] = static_cast<uint8_t>(low | fifth << 4);
  }
}

/// Group j of a block: 128 bytes of low nibbles, 64 of high bit pairs, 16 int8 scales, f16 d.
void read_q6k(const uint8_t* block, int j, Group& g) {
  const int half = j / 4, quarter = j % 4;
  const uint8_t* low = block + half * 64 + quarter % 2 * 32;
  const uint8_t* high = block + 128 + half * 32;
  const float d = f16_to_float(read_u16(block + 208));
  for (int s = 0; s < 2; s++) {
    g.scale[s] = d * static_cast<float>(static_cast<int8_t>(block[192 + j * 2 + s]));
  }
  for (int i = 0; i < kGroup; i++) {
    const int nibble = quarter < 2 ? low[i] & 15 : low[i] >> 4;
    g.code[i] = static_cast<uint8_t>(nibble | (high[i] >> (2 * quarter) & 3) << 4);
  }
}

}  // namespace

void read_group(const Format& f, const uint8_t* row, int64_t index, Group& g) {
  const int groups_per_block = f.block_cols / kGroup;
  const uint8_t* block = row + index / groups_per_block * f.block_bytes;
  const int j = static_cast<int>(index % groups_per_block);
  g.half_scale = read_u16(block);
  g.half_minimum = f.minima ? read_u16(block + 2) : 0;
  if (f.half_scales) {
    g.scale[0] = g.scale[1] = f16_to_float(g.half_scale);
    g.minimum = f16_to_float(g.half_minimum);
  }
  switch (f.type) {
    case QR_Q4_0: nibbles(block + 2, 0, g); break;
    case QR_Q4_1: nibbles(block + 4, 0, g); break;
    case QR_Q5_0: nibbles(block + 6, read_u32(block + 2), g); break;
    case QR_Q5_1: nibbles(block + 8, read_u32(block + 4), g); break;
    case QR_Q8_0:
      for (int i = 0; i < kGroup; i++) g.code[i] = static_cast<uint8_t>(block[2 + i] ^ 128);
      break;
    case QR_Q4_K: read_k45(block, j, false, g); break;
    case QR_Q5_K: read_k45(block, j, true, g); break;
    default: read_q6k(block, j, g); break;
  }
}

namespace {

void put_codes(const Format& f, const Group& g, int n, uint8_t* codes) {
  uint8_t* at = codes + n * 4;
  for (int c = 0; c < 8; c++) {
    for (int j = 0; j < 4; j++) {
      const uint8_t code = g.code[c * 4 + j];
      if (f.code_bits == 8) {
        at[c * 64 + j] = code;
      } else {
        at[c % 4 * 64 + j] |= static_cast<uint8_t>(c < 4 ? code : code << 4);
      }
    }
  }
}

template <int kSize>
void pack_plain(const uint8_t* source, int64_t n, int64_t cols, uint8_t* packed) {
  for (int64_t k = 0; k < cols; k++) {
    for (int64_t i = 0; i < n; i++) {
      memcpy(packed + (k * kTileRows + i) * kSize, source + (i * cols + k) * kSize, kSize);
    }
  }
}

void put_factors(const Format& f, const TileLayout& layout, const Group& g, int64_t n, uint8_t* packed) {
  if (f.half_scales) {
    memcpy(packed + layout.scales + n * 2, &g.half_scale, 2);
    if (f.minima) memcpy(packed + layout.minima + n * 2, &g.half_minimum, 2);
    return;
  }
  for (int s = 0; s < f.scales_per_group; s++) {
    memcpy(packed + layout.scales + (s * kTileRows + n) * 4, &g.scale[s], 4);
  }
  if (f.minima) memcpy(packed + layout.minima + n * 4, &g.minimum, 4);
}

void put_paired_factors(const Format& f, const TileLayout& layout, const Group& g, float unit, int64_t n, int second,
                        uint8_t* packed) {
  const float scale = g.scale[0] / unit;
  if (f.half_scales) {
    const uint16_t half = f.minima ? float_to_f16(scale) : g.half_scale;
    memcpy(packed + layout.scales + (second * kTileRows + n) * 2, &half, 2);
  } else {
    memcpy(packed + layout.scales + (second * kTileRows + n) * 4, &scale, 4);
  }
  if (!f.minima) return;
  const float most = 32767.0f, rounded = nearbyintf(g.minimum / unit);
  const int16_t minimum = static_cast<int16_t>(rounded > most ? most : rounded < -most ? -most : rounded);
  memcpy(packed + layout.minima + (2 * n + second) * 2, &minimum, 2);
}

/// The power of two that brings the largest scale or minimum of a row into [2^14, 2^15); NaN where one is not finite.
float unit_of_row(const Format& f, const uint8_t* row, int64_t groups) {
  float most = 0;
  for (int64_t i = 0; i < groups; i++) {
    Group g;
    read_group(f, row, i, g);
    const float larger = fmaxf(fabsf(g.scale[0]), fabsf(g.minimum));
    if (!isfinite(g.scale[0]) || !isfinite(g.minimum)) return NAN;
    if (larger > most) most = larger;
  }
  int exponent = 0;
  frexpf(most, &exponent);
  return most == 0 ? 1.0f : ldexpf(1.0f, exponent - 15);
}

/// Row n of a tile of a 4-bit type.
void pack_paired_row(const Format& f, const TileLayout& layout, const uint8_t* row, int64_t groups, int64_t n,
                     uint8_t* tile) {
  const float unit = f.minima ? unit_of_row(f, row, groups) : 1.0f;
  if (f.minima) memcpy(tile + layout.units + n * 4, &unit, 4);
  if (isnan(unit)) return;
  for (int64_t i = 0; i < groups; i++) {
    Group g;
    read_group(f, row, i, g);
    uint8_t* pair = tile + i / 2 * layout.stride;
    const int second = static_cast<int>(i % 2);
    put_codes(f, g, static_cast<int>(n), pair + layout.codes + second * kGroup * kTileRows / 2);
    put_paired_factors(f, layout, g, unit, n, second, pair);
  }
}

/// 32 codes behind their scale, as floats.
void read_float8(const uint8_t* block, float* out) {
  const float scale = bits_to_float(read_u32(block));
  for (int i = 0; i < kGroup; i++) out[i] = scale * f8_e4m3_to_float(block[4 + i]);
}

/// Rows of F8_E4M3 as a tile of BF16.
void pack_float8(const Format& f, const uint8_t* source, int64_t n, int64_t cols, uint8_t* packed) {
  for (int64_t i = 0; i < n; i++) {
    for (int64_t g = 0; g < cols / kGroup; g++) {
      float values[kGroup];
      read_float8(source + (i * (cols / kGroup) + g) * f.block_bytes, values);
      for (int j = 0; j < kGroup; j++) {
        const uint16_t half = float_to_bf16(values[j]);
        memcpy(packed + ((g * kGroup + j) * kTileRows + i) * 2, &half, 2);
      }
    }
  }
}

}  // namespace

void pack_tile(const Format& f, const uint8_t* source, int64_t rows, int64_t cols, int64_t tile,
               uint8_t* packed) {
  const TileLayout layout = tile_layout(*packed_format_of(f.type), cols);
  uint8_t* out = packed + tile * layout.bytes;
  memset(out, 0, static_cast<size_t>(layout.bytes));
  const int64_t first = tile * kTileRows;
  const int64_t n = rows - first < kTileRows ? rows - first : kTileRows;
  if (f.type == QR_F8_E4M3) {
    pack_float8(f, source + first * (cols / kGroup) * f.block_bytes, n, cols, out);
    return;
  }
  if (f.code_bits == 0) {
    const uint8_t* rows_of_tile = source + first * cols * f.block_bytes;
    if (f.block_bytes == 4) {
      pack_plain<4>(rows_of_tile, n, cols, out);
    } else {
      pack_plain<2>(rows_of_tile, n, cols, out);
    }
    return;
  }
  const int64_t row_bytes = cols / f.block_cols * f.block_bytes;
  for (int64_t i = 0; i < n; i++) {
    if (f.code_bits == 4) {
      pack_paired_row(f, layout, source + (first + i) * row_bytes, cols / kGroup, i, out);
      continue;
    }
    for (int64_t g = 0; g < cols / kGroup; g++) {
      Group group;
      read_group(f, source + (first + i) * row_bytes, g, group);
      uint8_t* packed_group = out + g * layout.stride;
      put_codes(f, group, static_cast<int>(i), packed_group);
      put_factors(f, layout, group, i, packed_group);
    }
  }
}

namespace {

float plain_value(int32_t type, const uint8_t* p) {
  if (type == QR_F32) {
    float value;
    memcpy(&value, p, 4);
    return value;
  }
  return type == QR_F16 ? f16_to_float(read_u16(p)) : bf16_to_float(read_u16(p));
}

float factor(const Format& f, const uint8_t* base, int64_t index) {
  return f.half_scales ? plain_value(QR_F16, base + index * 2) : plain_value(QR_F32, base + index * 4);
}

/// Group `index` of row n of a tile, times scale.
void embed_group(const Format& f, const TileLayout& layout, const uint8_t* tile, int64_t index, int64_t n, float scale,
                 float* out) {
  const bool paired = f.code_bits == 4;
  const int64_t second = paired ? index % 2 : 0;
  const uint8_t* group = tile + (paired ? index / 2 : index) * layout.stride;
  const uint8_t* codes = group + layout.codes + second * kGroup * kTileRows / 2 + n * 4;
  float minimum = 0;
  if (f.minima && paired) {
    minimum = static_cast<float>(static_cast<int16_t>(read_u16(group + layout.minima + (2 * n + second) * 2)));
    scale *= plain_value(QR_F32, tile + layout.units + n * 4);
  } else if (f.minima) {
    minimum = factor(f, group + layout.minima, n);
  }
  for (int c = 0; c < 8; c++) {
    const int64_t part = f.scales_per_group == 2 ? c / 4 : second;
    const float d = factor(f, group + layout.scales, part * kTileRows + n);
    for (int j = 0; j < 4; j++) {
      const int byte = codes[(paired ? c % 4 : c) * 64 + j];
      const int code = !paired ? byte : c < 4 ? byte & 15 : byte >> 4;
      out[c * 4 + j] = (d * static_cast<float>(code - f.zero) + minimum) * scale;
    }
  }
}

}  // namespace

void embed_row(const Format& f, const QrWeight& weight, int64_t row, float scale, float* out) {
  const TileLayout layout = tile_layout(f, weight.cols);
  const uint8_t* tile =
      reinterpret_cast<const uint8_t*>(weight.data) + row / kTileRows * layout.bytes;
  const int64_t n = row % kTileRows;
  if (f.code_bits == 0) {
    for (int64_t k = 0; k < weight.cols; k++) {
      out[k] = plain_value(f.type, tile + (k * kTileRows + n) * f.block_bytes) * scale;
    }
    return;
  }
  for (int64_t g = 0; g < weight.cols / kGroup; g++) {
    embed_group(f, layout, tile, g, n, scale, out + g * kGroup);
  }
}

void read_row(const Format& f, const uint8_t* row, int64_t cols, float* out) {
  if (f.type == QR_F8_E4M3) {
    for (int64_t g = 0; g < cols / kGroup; g++) read_float8(row + g * f.block_bytes, out + g * kGroup);
    return;
  }
  if (f.code_bits == 0) {
    for (int64_t k = 0; k < cols; k++) out[k] = plain_value(f.type, row + k * f.block_bytes);
    return;
  }
  for (int64_t g = 0; g < cols / kGroup; g++) {
    Group group;
    read_group(f, row, g, group);
    for (int i = 0; i < kGroup; i++) {
      const float scale = group.scale[f.scales_per_group == 2 ? i / 16 : 0];
      out[g * kGroup + i] = scale * static_cast<float>(group.code[i] - f.zero) + (f.minima ? group.minimum : 0.0f);
    }
  }
}

}  // namespace quire
