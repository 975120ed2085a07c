// Memory of the device: what callers allot, and buffers that grow with the largest step.
#ifndef QUIRE_CUDA_MEMORY_H
#define QUIRE_CUDA_MEMORY_H

#include <stdint.h>

#include <map>

#include "status.h"

namespace quire::cuda {

/// What callers have allotted.
class Memory {
 public:
  Memory() = default;
  Memory(const Memory&) = delete;
  ~Memory();
  /// Zeroed.
  int allocate(uint64_t bytes, cudaStream_t stream, uint64_t* out);
  /// Page-locked memory of the host, which kernels reach under the same address.
  int allocate_host(uint64_t bytes, uint64_t* out);
  bool release_host(uint64_t address, uint64_t bytes);
  /// False when it was not allotted here.
  bool release(uint64_t address, uint64_t bytes);
  /// Whether the range lies within one piece.
  bool holds(uint64_t address, uint64_t bytes) const;

 private:
  std::map<uint64_t, uint64_t> pieces_, host_;  // address to bytes
};

/// Memory that grows and is kept; contents are lost when it grows, which waits for all that the device does.
template <bool kHost>
class Growing {
 public:
  Growing() = default;
  Growing(const Growing&) = delete;
  ~Growing() { drop(); }
  /// *grew is set when the address has changed.
  int reserve(uint64_t bytes, bool* grew) {
    if (bytes <= bytes_) return QR_OK;
    if (data_ != nullptr) cudaDeviceSynchronize();
    drop();
    const uint64_t wanted = bytes + bytes / 2;  // a few steps reach the largest
    const cudaError_t status = kHost ? cudaMallocHost(&data_, wanted) : cudaMalloc(&data_, wanted);
    if (status != cudaSuccess) {
      data_ = nullptr;
      return checked(status, "memory for a step");
    }
    bytes_ = wanted;
    *grew = true;
    return QR_OK;
  }
  template <class T>
  T* at(uint64_t offset = 0) const {
    return reinterpret_cast<T*>(static_cast<uint8_t*>(data_) + offset);
  }

 private:
  void* data_ = nullptr;
  uint64_t bytes_ = 0;

  void drop() {
    if (data_ != nullptr) kHost ? cudaFreeHost(data_) : cudaFree(data_);
    data_ = nullptr;
    bytes_ = 0;
  }
};
using DeviceBuffer = Growing<false>;
using PinnedBuffer = Growing<true>;

}  // namespace quire::cuda

#endif
