// What the cases of the CUDA kernels share. The same cases run on the CPU through the shim and on a GPU.
#ifndef QUIRE_TESTS_CUDA_HARNESS_H
#define QUIRE_TESTS_CUDA_HARNESS_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <string>
#include <vector>

#include "../../cuda/device.cuh"
#include "../numbers.h"

namespace cuda_cases {

using conformance::Random;
using quire::cuda::bf16;

inline void require(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
#ifdef QR_SHIM
  fprintf(stderr, "%s: status %d\n", what, status);
#else
  fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(status));
#endif
  abort();
}

/// Who wrote a piece of memory: a kernel may read an earlier kernel's results after start_after_previous alone, weights at
/// any time.
enum class Writer { kEarlierKernel, kNobody };

/// Memory of the device that begins poisoned: every byte 0xFF, NaN in each floating-point type.
template <class T>
class Device {
 public:
  explicit Device(size_t n) : size_(n) {
#ifdef QR_SHIM
    data_ = static_cast<T*>(malloc(n * sizeof(T)));
    memset(data_, 0xFF, n * sizeof(T));
#else
    require(cudaMalloc(&data_, n * sizeof(T) + 16), "allocate");
    require(cudaMemset(data_, 0xFF, n * sizeof(T)), "poison");
#endif
  }
  explicit Device(const std::vector<T>& values, Writer writer = Writer::kEarlierKernel) : Device(values.size()) {
#ifdef QR_SHIM
    auto write = [to = data_, values] { std::copy(values.begin(), values.end(), to); };
    if (writer == Writer::kNobody) {
      write();
    } else {
      shim::before_next_kernel(write);
    }
#else
    (void)writer;
    require(cudaMemcpy(data_, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), "upload");
#endif
  }
  Device(const Device&) = delete;
  ~Device() {
#ifdef QR_SHIM
    shim::settle();
    free(data_);
#else
    cudaFree(data_);
#endif
  }
  T* data() { return data_; }
  size_t size() const { return size_; }
  std::vector<T> host() const {
    std::vector<T> values(size_);
#ifdef QR_SHIM
    shim::settle();
    memcpy(values.data(), data_, size_ * sizeof(T));
#else
    require(cudaDeviceSynchronize(), "run");
    require(cudaMemcpy(values.data(), data_, size_ * sizeof(T), cudaMemcpyDeviceToHost), "download");
#endif
    return values;
  }

 private:
  T* data_ = nullptr;
  size_t size_;
};

inline bf16 round_to_bf16(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return {static_cast<uint16_t>((bits + 0x7fff + (bits >> 16 & 1)) >> 16)};
}
inline float value_of(bf16 value) {
  const uint32_t bits = static_cast<uint32_t>(value.bits) << 16;
  float result;
  memcpy(&result, &bits, 4);
  return result;
}
inline double value_of(float value) { return value; }

inline std::vector<bf16> normals(size_t n, Random& random, float scale = 1.0f) {
  std::vector<bf16> values(n);
  for (bf16& value : values) value = round_to_bf16(scale * random.normal());
  return values;
}

inline std::vector<double> values_of(const std::vector<bf16>& values) {
  std::vector<double> wide;
  for (bf16 value : values) wide.push_back(value_of(value));
  return wide;
}
inline const std::vector<float>& values_of(const std::vector<float>& values) { return values; }

/// How far results are from what was wanted, as conformance::distance.
template <class T>
double relative_error(const std::vector<T>& got, const std::vector<double>& wanted) {
  return conformance::distance(values_of(got), wanted);
}

/// One case: its name, its error and the error allowed. Its bits go into the digest that must not depend on the order
/// of threads.
void check(const std::string& name, double error, double bound);
void digest(const void* data, size_t bytes);
template <class T>
void digest(const std::vector<T>& values) {
  digest(values.data(), values.size() * sizeof(T));
}

void attention_cases();
void expert_cases();
void gemm_cases();
void row_cases();
void sample_cases();

}  // namespace cuda_cases

#endif
