#include "layout.h"

namespace quire {

const Format* format_of(int32_t type) {
  // type, block_cols, block_bytes, code_bits, half_scales, minima, zero, scales_per_group
  static const Format kFormats[] = {
      {QR_F32, 1, 4, 0, false, false, 0, 1},      {QR_F16, 1, 2, 0, false, false, 0, 1},
      {QR_BF16, 1, 2, 0, false, false, 0, 1},     {QR_Q4_0, 32, 18, 4, true, false, 8, 1},
      {QR_Q4_1, 32, 20, 4, true, true, 0, 1},     {QR_Q5_0, 32, 22, 8, true, false, 16, 1},
      {QR_Q5_1, 32, 24, 8, true, true, 0, 1},     {QR_Q8_0, 32, 34, 8, true, false, 128, 1},
      {QR_Q4_K, 256, 144, 4, false, true, 0, 1},  {QR_Q5_K, 256, 176, 8, false, true, 0, 1},
      {QR_Q6_K, 256, 210, 8, false, false, 32, 2}, {QR_F8_E4M3, 32, 36, 0, false, false, 0, 1},
  };
  for (const Format& format : kFormats) {
    if (format.type == type) return &format;
  }
  return nullptr;
}

const Format* packed_format_of(int32_t type) { return format_of(type == QR_F8_E4M3 ? static_cast<int32_t>(QR_BF16) : type); }

}  // namespace quire
