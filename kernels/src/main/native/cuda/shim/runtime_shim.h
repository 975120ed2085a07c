// The part of the CUDA runtime that the library's host side uses, on plain memory: of a stream's work, the last kernel
// may be under way, all else is done at once.
#ifndef QUIRE_CUDA_RUNTIME_SHIM_H
#define QUIRE_CUDA_RUNTIME_SHIM_H

#include <malloc.h>
#include <stdlib.h>
#include <string.h>

#include <atomic>

#include "cuda_shim.h"

enum cudaMemcpyKind { cudaMemcpyHostToDevice = 1, cudaMemcpyDeviceToHost = 2 };
enum cudaDeviceAttr { cudaDevAttrComputeCapabilityMajor = 75, cudaDevAttrMaxSharedMemoryPerBlockOptin = 97 };
enum { cudaStreamNonBlocking = 1 };
struct cudaDeviceProp {
  char name[256];
  int multiProcessorCount;
  size_t totalGlobalMem;
};

namespace shim {
constexpr size_t kMemory = size_t{4} << 30;
inline std::atomic<size_t> taken_of[kDevices];
inline std::atomic<size_t>& taken() { return taken_of[device]; }
}  // namespace shim

inline const char* cudaGetErrorString(cudaError_t status) {
  return status == cudaErrorMemoryAllocation ? "out of memory" : status == cudaSuccess ? "no error" : "invalid argument";
}
inline cudaError_t cudaGetLastError() { return cudaSuccess; }
inline cudaError_t cudaGetDeviceCount(int* count) {
  *count = shim::kDevices;
  return cudaSuccess;
}
inline cudaError_t cudaSetDevice(int device) {
  if (device < 0 || device >= shim::kDevices) return cudaErrorInvalidValue;
  shim::device = device;
  return cudaSuccess;
}
inline cudaError_t cudaDeviceGetAttribute(int* value, cudaDeviceAttr which, int) {
  *value = which == cudaDevAttrComputeCapabilityMajor ? 9 : 232448;
  return cudaSuccess;
}
inline cudaError_t cudaGetDeviceProperties(cudaDeviceProp* out, int) {
  snprintf(out->name, sizeof out->name, "shim");
  out->multiProcessorCount = 3;
  out->totalGlobalMem = shim::kMemory;
  return cudaSuccess;
}

inline cudaError_t cudaMemGetInfo(size_t* free, size_t* total) {
  *total = shim::kMemory;
  *free = shim::kMemory - shim::taken();
  return cudaSuccess;
}
inline cudaError_t cudaMallocHost(void** out, size_t bytes) {
  *out = bytes > shim::kMemory ? nullptr : aligned_alloc(256, (bytes + 255) / 256 * 256);
  return *out == nullptr ? cudaErrorMemoryAllocation : cudaSuccess;
}
inline cudaError_t cudaFreeHost(void* at) {
  shim::settle();
  free(at);
  return cudaSuccess;
}
inline cudaError_t cudaMalloc(void** out, size_t bytes) {
  *out = nullptr;
  if (bytes > shim::kMemory - shim::taken() || cudaMallocHost(out, bytes) != cudaSuccess) return cudaErrorMemoryAllocation;
  shim::taken() += malloc_usable_size(*out);
  return cudaSuccess;
}
inline cudaError_t cudaFree(void* at) {
  if (at != nullptr) shim::taken() -= malloc_usable_size(at);
  return cudaFreeHost(at);
}
inline cudaError_t cudaMemsetAsync(void* at, int value, size_t bytes, cudaStream_t stream) {
  shim::require_own(stream);
  shim::settle();
  memset(at, value, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMemcpyAsync(void* to, const void* from, size_t bytes, cudaMemcpyKind, cudaStream_t stream) {
  shim::require_own(stream);
  shim::settle();
  memcpy(to, from, bytes);
  return cudaSuccess;
}
inline cudaError_t cudaMemset(void* at, int value, size_t bytes) { return cudaMemsetAsync(at, value, bytes, nullptr); }
inline cudaError_t cudaMemcpy(void* to, const void* from, size_t bytes, cudaMemcpyKind kind) {
  return cudaMemcpyAsync(to, from, bytes, kind, nullptr);
}
inline cudaError_t cudaStreamCreateWithFlags(cudaStream_t* out, unsigned) {
  *out = shim::stream_of(shim::device);
  return cudaSuccess;
}
inline cudaError_t cudaStreamDestroy(cudaStream_t) { return cudaSuccess; }
inline cudaError_t cudaStreamSynchronize(cudaStream_t stream) {
  shim::require_own(stream);
  shim::settle();
  return cudaSuccess;
}

using cudaEvent_t = void*;
inline cudaError_t cudaEventCreate(cudaEvent_t* out) {
  *out = nullptr;
  return cudaSuccess;
}
inline cudaError_t cudaEventDestroy(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventRecord(cudaEvent_t, cudaStream_t stream) { return cudaStreamSynchronize(stream); }
inline cudaError_t cudaEventSynchronize(cudaEvent_t) { return cudaSuccess; }
inline cudaError_t cudaEventElapsedTime(float* out, cudaEvent_t, cudaEvent_t) {
  *out = 1e-3f;
  return cudaSuccess;
}

inline cudaError_t cudaDeviceSynchronize() { return cudaStreamSynchronize(nullptr); }

#endif
