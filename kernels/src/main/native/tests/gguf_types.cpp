// Weights in the block formats of the GGUF specification and in groups of 8-bit floats, decoded here independently of the library, element by element.
#include <math.h>
#include <string.h>

#include "harness.h"

namespace conformance {

const std::vector<int32_t> kAllTypes = {QR_F32,  QR_F16,  QR_BF16, QR_Q4_0, QR_Q4_1, QR_Q5_0,
                                        QR_Q5_1, QR_Q8_0, QR_Q4_K, QR_Q5_K, QR_Q6_K, QR_F8_E4M3};

namespace {

struct TypeInfo {
  int32_t type;
  int cols, bytes;
  const char* name;
};

const TypeInfo& info(int32_t type) {
  static const TypeInfo all[] = {{QR_F32, 1, 4, "F32"},       {QR_F16, 1, 2, "F16"},
                                 {QR_BF16, 1, 2, "BF16"},     {QR_Q4_0, 32, 18, "Q4_0"},
                                 {QR_Q4_1, 32, 20, "Q4_1"},   {QR_Q5_0, 32, 22, "Q5_0"},
                                 {QR_Q5_1, 32, 24, "Q5_1"},   {QR_Q8_0, 32, 34, "Q8_0"},
                                 {QR_Q4_K, 256, 144, "Q4_K"}, {QR_Q5_K, 256, 176, "Q5_K"},
                                 {QR_Q6_K, 256, 210, "Q6_K"}, {QR_F8_E4M3, 32, 36, "F8_E4M3"}};
  for (const TypeInfo& entry : all) {
    if (entry.type == type) return entry;
  }
  return all[0];
}

double half_at(const uint8_t* p) { return half_to_float(static_cast<uint16_t>(p[0] | p[1] << 8)); }

int nibble(const uint8_t* codes, int i) { return i < 16 ? codes[i] & 15 : codes[i - 16] >> 4; }

int bit(const uint8_t* bits, int i) { return bits[i / 8] >> (i % 8) & 1; }

/// Six-bit number `j` of the scales (j < 8) or minima (j >= 8) of Q4_K and Q5_K.
int six_bits(const uint8_t* s, int j, bool minimum) {
  if (j < 4) return s[minimum ? j + 4 : j] & 63;
  const int low = minimum ? s[j + 4] >> 4 : s[j + 4] & 15;
  const int high = (minimum ? s[j] : s[j - 4]) >> 6;
  return low + 16 * high;
}

double k45_value(const uint8_t* b, int i, bool five) {
  const int j = i / 32, in = i % 32;
  const uint8_t byte = b[(five ? 48 : 16) + i / 64 * 32 + in];
  int q = (i / 32) % 2 == 0 ? byte & 15 : byte >> 4;
  if (five && (b[16 + in] >> j & 1) != 0) q += 16;
  return half_at(b) * six_bits(b + 4, j, false) * q - half_at(b + 2) * six_bits(b + 4, j, true);
}

double q6k_value(const uint8_t* b, int i) {
  const int half = i / 128, in = i % 128, quarter = in / 32, l = in % 32;
  const uint8_t low = b[half * 64 + (quarter % 2) * 32 + l];
  const int q = (quarter < 2 ? low & 15 : low >> 4) + 16 * (b[128 + half * 32 + l] >> 2 * quarter & 3);
  return half_at(b + 208) * static_cast<int8_t>(b[192 + i / 16]) * (q - 32);
}

/// Sign, four bits of exponent with bias 7, three of mantissa.
double e4m3_value(uint8_t code) {
  const int exponent = code >> 3 & 15, mantissa = code & 7;
  const double magnitude = exponent == 0 ? ldexp(mantissa, -9) : ldexp(8 + mantissa, exponent - 10);
  return (code & 128) != 0 ? -magnitude : magnitude;
}

double float8_value(const uint8_t* b, int i) {
  float scale;
  memcpy(&scale, b, 4);
  return scale * e4m3_value(b[4 + i]);
}

/// A float16 of moderate size, so that sums stay in range.
void put_half(uint8_t* p, double value) {
  const uint16_t half = float_to_half(value);
  p[0] = static_cast<uint8_t>(half);
  p[1] = static_cast<uint8_t>(half >> 8);
}

void random_block(int32_t type, uint8_t* b, Random& random) {
  for (int i = 0; i < block_bytes(type); i++) b[i] = static_cast<uint8_t>(random.next());
  const double scale = 0.002 + 0.01 * random.uniform();
  const bool minimum = type == QR_Q4_1 || type == QR_Q5_1;
  if (type == QR_F8_E4M3) {
    const float factor = ldexpf(1, -8 - random.below(4));  // so that the numbers are BF16 too, as which the CPU keeps them
    memcpy(b, &factor, 4);
    for (int i = 0; i < 32; i++) b[4 + i] = (b[4 + i] & 0x7f) == 0x7f ? 0 : b[4 + i];  // no NaN
    return;
  }
  if (type == QR_Q6_K) {
    put_half(b + 208, scale / 100);
  } else if (type == QR_Q4_K || type == QR_Q5_K) {
    put_half(b, scale / 50);
    put_half(b + 2, scale / 10);
  } else {
    put_half(b, type == QR_Q8_0 ? scale / 16 : scale);
    if (minimum) put_half(b + 2, -8 * scale * random.uniform());
  }
}

void random_plain(Matrix& m, size_t i, Random& random) {
  const float value = random.normal() * 0.1f;
  uint32_t bits;
  memcpy(&bits, &value, 4);
  if (m.type == QR_F32) {
    memcpy(&m.bytes[i * 4], &bits, 4);
    m.values[i] = value;
  } else if (m.type == QR_F16) {
    put_half(&m.bytes[i * 2], value);
    m.values[i] = half_at(&m.bytes[i * 2]);
  } else {
    m.bytes[i * 2] = static_cast<uint8_t>(bits >> 16);
    m.bytes[i * 2 + 1] = static_cast<uint8_t>(bits >> 24);
    bits &= 0xffff0000;
    float rounded;
    memcpy(&rounded, &bits, 4);
    m.values[i] = rounded;
  }
}

}  // namespace

int block_cols(int32_t type) { return info(type).cols; }
int block_bytes(int32_t type) { return info(type).bytes; }
const char* type_name(int32_t type) { return info(type).name; }

void decode_block(int32_t type, const uint8_t* b, double* out) {
  for (int i = 0; i < block_cols(type); i++) {
    switch (type) {
      case QR_Q4_0: out[i] = half_at(b) * (nibble(b + 2, i) - 8); break;
      case QR_Q4_1: out[i] = half_at(b) * nibble(b + 4, i) + half_at(b + 2); break;
      case QR_Q5_0: out[i] = half_at(b) * (nibble(b + 6, i) + 16 * bit(b + 2, i) - 16); break;
      case QR_Q5_1:
        out[i] = half_at(b) * (nibble(b + 8, i) + 16 * bit(b + 4, i)) + half_at(b + 2);
        break;
      case QR_Q8_0: out[i] = half_at(b) * static_cast<int8_t>(b[2 + i]); break;
      case QR_Q4_K: out[i] = k45_value(b, i, false); break;
      case QR_Q5_K: out[i] = k45_value(b, i, true); break;
      case QR_F8_E4M3: out[i] = float8_value(b, i); break;
      default: out[i] = q6k_value(b, i); break;
    }
  }
}

Matrix random_matrix(int32_t type, int64_t rows, int64_t cols, Random& random) {
  Matrix m = {type, rows, cols, {}, {}};
  const size_t elements = static_cast<size_t>(rows * cols), per = static_cast<size_t>(block_cols(type));
  m.values.resize(elements);
  m.bytes.resize(elements / per * static_cast<size_t>(block_bytes(type)));
  if (per == 1) {
    for (size_t i = 0; i < elements; i++) random_plain(m, i, random);
    return m;
  }
  for (size_t block = 0; block < elements / per; block++) {
    uint8_t* bytes = &m.bytes[block * static_cast<size_t>(block_bytes(type))];
    random_block(type, bytes, random);
    decode_block(type, bytes, &m.values[block * per]);
  }
  return m;
}

}  // namespace conformance
