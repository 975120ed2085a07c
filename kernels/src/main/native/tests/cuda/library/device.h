// Memory and weights of the device under test.
#ifndef QUIRE_TESTS_CUDA_LIBRARY_DEVICE_H
#define QUIRE_TESTS_CUDA_LIBRARY_DEVICE_H

#include <math.h>

#include "../../../cpu/half.h"
#include "../../harness.h"

namespace conformance {

/// Memory of the device.
class Piece {
 public:
  Piece(qr_dev device, uint64_t bytes) : device_(device), bytes_(bytes) {
    check(qr_alloc(device, bytes, &address_) == QR_OK, "alloc of %llu", static_cast<unsigned long long>(bytes));
  }
  template <class T>
  Piece(qr_dev device, const std::vector<T>& values) : Piece(device, values.size() * sizeof(T)) {
    check(qr_write(device, address_, values.data(), bytes_) == QR_OK, "write");
  }
  Piece(const Piece&) = delete;
  ~Piece() { check(qr_free(device_, address_, bytes_) == QR_OK, "free"); }
  template <class T>
  std::vector<T> read() const {
    std::vector<T> values(bytes_ / sizeof(T));
    check(qr_read(device_, values.data(), address_, bytes_) == QR_OK, "read");
    return values;
  }
  uint64_t address() const { return address_; }

 private:
  qr_dev device_;
  uint64_t address_ = 0, bytes_;
};

inline std::vector<uint16_t> bf16_of(const std::vector<float>& values) {
  std::vector<uint16_t> rounded;
  for (float v : values) rounded.push_back(quire::float_to_bf16(v));
  return rounded;
}

inline std::vector<float> floats_of(const std::vector<uint16_t>& values, size_t n) {
  std::vector<float> wide;
  for (size_t i = 0; i < n; i++) wide.push_back(quire::bf16_to_float(values[i]));
  return wide;
}

/// A matrix on the device.
struct Packed {
  Matrix matrix;
  Piece piece;
  QrWeight weight;

  static uint64_t bytes_of(const Matrix& m) {
    uint64_t bytes = 0;
    check(qr_packed_bytes(m.type, m.rows, m.cols, &bytes) == QR_OK, "packed_bytes of %s", type_name(m.type));
    return bytes;
  }
  Packed(Rig& rig, int32_t type, int64_t rows, int64_t cols, Random& random) : Packed(rig, random_matrix(type, rows, cols, random)) {}
  Packed(Rig& rig, const Matrix& m) : matrix(m), piece(rig.device, bytes_of(m)) {
    check(qr_pack(rig.device, m.type, m.bytes.data(), m.rows, m.cols, piece.address()) == QR_OK, "pack of %s", type_name(m.type));
    weight = {piece.address(), m.type, static_cast<int32_t>(m.cols), m.rows};
  }
};

/// A whole model: decodes, on a GPU replays of a graph, give the logits of the prompt in one piece.
void model_case(Rig& rig);

/// Two devices, where there are so many.
void group_cases();

}  // namespace conformance

#endif
