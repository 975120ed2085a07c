// The block formats of the GGUF specification.
#ifndef QUIRE_CPU_PACK_H
#define QUIRE_CPU_PACK_H

#include "layout.h"

namespace quire {

/// One group of 32 columns of one row: value = scale[half] * code + minimum, or scale[half] * (code - zero).
struct Group {
  uint8_t code[kGroup];
  float scale[2], minimum;
  uint16_t half_scale, half_minimum;  // as in the file, where it has float16
};

/// Group `index` of a row of a quantised type in its file format.
void read_group(const Format& format, const uint8_t* row, int64_t index, Group& group);

/// A row in its file format, any type, as floats.
void read_row(const Format& format, const uint8_t* row, int64_t cols, float* out);

/// Packs one tile of 16 rows.
void pack_tile(const Format& format, const uint8_t* source, int64_t rows, int64_t cols, int64_t tile, uint8_t* packed);

/// out = row `row` of a packed matrix, times scale.
void embed_row(const Format& format, const QrWeight& weight, int64_t row, float scale, float* out);

}  // namespace quire

#endif
