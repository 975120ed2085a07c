// What every kernel starts from: the compiler's dialect (nvcc, or g++ with the shim), bf16 and launching.
#ifndef QUIRE_CUDA_DEVICE_CUH
#define QUIRE_CUDA_DEVICE_CUH

#ifdef QR_SHIM
#include "shim/cuda_shim.h"
#else
#include <cuda_runtime.h>
#include <stdint.h>

#define DYN_SMEM(T, name)                                     \
  extern __shared__ __align__(16) unsigned char qr_shared[]; \
  T* name = reinterpret_cast<T*>(qr_shared)
#endif

#include "ptx.cuh"

/// Launches unless the grid is empty, which the device would refuse.
#ifdef QR_SHIM
#define LAUNCH(kernel, grid, block, smem, stream, ...)                                                         \
  quire::cuda::launch(std::string(#kernel " in ") + __PRETTY_FUNCTION__, kernel, dim3(grid), dim3(block), smem, \
                      stream, __VA_ARGS__)
#else
#define LAUNCH(kernel, grid, block, smem, stream, ...) \
  quire::cuda::launch(kernel, dim3(grid), dim3(block), smem, stream, __VA_ARGS__)
#endif

namespace quire::cuda {

constexpr unsigned kAllLanes = 0xffffffffu;
constexpr int kWarpSize = 32;

/// 8 bf16 are one 16-byte access.
constexpr int kVector = 8;

__host__ __device__ inline int ceil_div(int n, int by) { return (n + by - 1) / by; }

/// The status of the launches since the last call.
inline cudaError_t launched() {
#ifdef QR_SHIM
  return cudaSuccess;
#else
  return cudaGetLastError();
#endif
}

#ifdef QR_SHIM
template <class... Wanted, class... Given>
void launch(std::string name, void (*kernel)(Wanted...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream,
            Given... given) {
  shim::require_own(stream);
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  shim::kernels_run.insert(reinterpret_cast<const void*>(kernel));
  shim::launch(std::move(name), grid, block, shared_bytes, [=] { kernel(static_cast<Wanted>(given)...); });
}
#else
/// Whether a kernel may begin while the one before it ends, as far as start_after_previous: from compute capability 9 on.
inline bool overlaps_launches() {
  static const bool can = [] {
    int device = 0, major = 0;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, device);
    return major >= 9;
  }();
  return can;
}

template <class... Wanted, class... Given>
void launch(void (*kernel)(Wanted...), dim3 grid, dim3 block, size_t shared_bytes, cudaStream_t stream, Given... given) {
  if (grid.x == 0 || grid.y == 0 || grid.z == 0) return;
  cudaLaunchAttribute early = {};
  early.id = cudaLaunchAttributeProgrammaticStreamSerialization;
  early.val.programmaticStreamSerializationAllowed = 1;
  cudaLaunchConfig_t config = {};
  config.gridDim = grid;
  config.blockDim = block;
  config.dynamicSmemBytes = shared_bytes;
  config.stream = stream;
  config.attrs = &early;
  config.numAttrs = overlaps_launches() ? 1 : 0;
  cudaLaunchKernelEx(&config, kernel, static_cast<Wanted>(given)...);
}
#endif

/// Lets a kernel use more than 48 KiB of dynamic shared memory.
template <class Kernel>
void allow_shared(Kernel kernel, size_t bytes) {
#ifdef QR_SHIM
  (void)kernel, (void)bytes;
#else
  if (bytes > 48 << 10) {
    cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes));
  }
#endif
}

/// Blocks of a persistent grid: `per_sm` for each multiprocessor.
inline int resident_blocks(int per_sm) {
#ifdef QR_SHIM
  return per_sm * 3;
#else
  static const int multiprocessors = [] {
    int device = 0, count = 0;
    cudaGetDevice(&device);
    cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device);
    return count;
  }();
  return per_sm * multiprocessors;
#endif
}

/// Sum and maximum over a warp; every lane gets the result.
__device__ __forceinline__ float warp_sum(float value) {
  for (int step = kWarpSize / 2; step > 0; step /= 2) value += __shfl_xor_sync(kAllLanes, value, step);
  return value;
}
__device__ __forceinline__ float warp_max(float value) {
  for (int step = kWarpSize / 2; step > 0; step /= 2) value = fmaxf(value, __shfl_xor_sync(kAllLanes, value, step));
  return value;
}

/// 8 consecutive bf16 as floats, and back.
__device__ __forceinline__ void load8(float out[kVector], const bf16* from) {
  const uint4 v = *reinterpret_cast<const uint4*>(from);
  const uint32_t words[4] = {v.x, v.y, v.z, v.w};
#pragma unroll
  for (int i = 0; i < 4; i++) {
    out[2 * i] = low_float(words[i]);
    out[2 * i + 1] = high_float(words[i]);
  }
}
__device__ __forceinline__ void store8(bf16* to, const float v[kVector]) {
  *reinterpret_cast<uint4*>(to) =
      make_uint4(pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3]), pack_bf16(v[4], v[5]), pack_bf16(v[6], v[7]));
}

}  // namespace quire::cuda

#endif
