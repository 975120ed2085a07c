// One wrapper per PTX instruction (PTX ISA 9.0): inline assembly on the device, and in the shim the documented
// layout of the fragments in plain C++. Lane l of a warp has g = l / 4 and t = l % 4.
#ifndef QUIRE_CUDA_PTX_CUH
#define QUIRE_CUDA_PTX_CUH

#include <stdint.h>

#ifdef QR_SHIM
#include "../cpu/half.h"
#endif

namespace quire::cuda {

struct bf16 {
  uint16_t bits;
};

#ifdef QR_SHIM

inline bf16 to_bf16(float value) {
  if (value != value) return {0x7fff};
  return {float_to_bf16(value)};
}
/// Two floats as bf16: the first in the low half.
inline uint32_t pack_bf16(float low, float high) {
  return static_cast<uint32_t>(to_bf16(low).bits) | static_cast<uint32_t>(to_bf16(high).bits) << 16;
}
inline float exp2_approx(float x) { return exp2f(x); }
inline float half_to_float(uint32_t half) { return f16_to_float(static_cast<uint16_t>(half)); }
/// The low and the high half of the result are a * b + c of those halves, rounded once.
inline uint32_t fma_bf16x2(uint32_t a, uint32_t b, uint32_t c) {
  const float low = fmaf(bits_to_float(a << 16), bits_to_float(b << 16), bits_to_float(c << 16));
  const float high = fmaf(bits_to_float(a & 0xffff0000u), bits_to_float(b & 0xffff0000u), bits_to_float(c & 0xffff0000u));
  return pack_bf16(low, high);
}

/// Four 8 x 8 matrices of 16-bit elements: lane l gives the address of row l % 8 of matrix l / 8; r[j] of lane l is
/// the pair (row g, columns 2t, 2t + 1) of matrix j.
inline void ldmatrix_x4(uint32_t r[4], const void* row) {
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0) shim::fail("ldmatrix of a misaligned row");
  const int turn = shim::exchange(row);
  const unsigned l = shim::lane();
  for (unsigned j = 0; j < 4; j++) {
    memcpy(&r[j], shim::shown<const char*>(turn, j * 8 + l / 4) + l % 4 * 4, 4);
  }
  __syncwarp();
}
/// The same with each matrix transposed: r[j] of lane l is rows 2t, 2t + 1 of column g.
inline void ldmatrix_x4_trans(uint32_t r[4], const void* row) {
  if (reinterpret_cast<uintptr_t>(row) % 16 != 0) shim::fail("ldmatrix of a misaligned row");
  const int turn = shim::exchange(row);
  const unsigned l = shim::lane();
  for (unsigned j = 0; j < 4; j++) {
    uint16_t pair[2];
    for (unsigned i = 0; i < 2; i++) memcpy(&pair[i], shim::shown<const char*>(turn, j * 8 + l % 4 * 2 + i) + l / 4 * 2, 2);
    memcpy(&r[j], pair, 4);
  }
  __syncwarp();
}

/// c[16, 8] += a[16, 16] * b[16, 8] in float32. a: (row g, k 2t), (g + 8, 2t), (g, 2t + 8), (g + 8, 2t + 8);
/// b: (k 2t, column g), (2t + 8, g), each with its right or lower neighbour in the high half;
/// c: (g, 2t), (g, 2t + 1), (g + 8, 2t), (g + 8, 2t + 1).
inline void mma_bf16(float c[4], const uint32_t a[4], const uint32_t b[2]) {
  struct Operands {
    uint32_t a[4], b[2];
  };
  const int turn = shim::exchange(Operands{{a[0], a[1], a[2], a[3]}, {b[0], b[1]}});
  const unsigned g = shim::lane() / 4, t = shim::lane() % 4;
  auto half = [](uint32_t word, unsigned high) { return bits_to_float(high ? word & 0xffff0000u : word << 16); };
  for (unsigned i = 0; i < 4; i++) {
    const unsigned row = g + i / 2 * 8, column = 2 * t + i % 2;
    float sum = c[i];
    for (unsigned k = 0; k < 16; k++) {
      const Operands left = shim::shown<Operands>(turn, row % 8 * 4 + k % 8 / 2);
      const Operands right = shim::shown<Operands>(turn, column * 4 + k % 8 / 2);
      sum += half(left.a[row / 8 + k / 8 * 2], k % 2) * half(right.b[k / 8], k % 2);
    }
    c[i] = sum;
  }
}

/// Starts a copy of 16 bytes from global to shared memory, of which only the first `bytes` are read and the rest
/// become zero.
inline void cp_async16(void* shared, const void* global, int bytes = 16) {
  if (reinterpret_cast<uintptr_t>(shared) % 16 != 0) shim::fail("cp.async to a misaligned address");
  if (bytes > 0 && reinterpret_cast<uintptr_t>(global) % 16 != 0) shim::fail("cp.async from a misaligned address");
  shim::me().groups.back().push_back({shared, global, bytes});
}
/// Closes the group of the copies that this thread has started.
inline void cp_async_commit() { shim::me().groups.emplace_back(); }
/// Waits until at most N groups of this thread are still under way.
template <int N>
void cp_async_wait() {
  auto& groups = shim::me().groups;
  while (static_cast<int>(groups.size()) - 1 > N) {
    for (const shim::Copy& copy : groups.front()) {
      memset(copy.to, 0, 16);
      if (copy.bytes > 0) memcpy(copy.to, copy.from, static_cast<size_t>(copy.bytes));
    }
    groups.pop_front();
  }
}
/// 16 bytes, loaded where the program says: with a barrier of the warp behind it, the load is not moved to its use.
inline uint4 load_early(const void* from) { return *static_cast<const uint4*>(from); }
/// The same for what is read once: it need not stay in the first cache.
inline uint4 load_streaming(const void* from) { return *static_cast<const uint4*>(from); }
/// Returns when the kernels before this one have ended and what they wrote is here; only then may the next one begin, so
/// that one waits at a time: more would hold registers and shared memory for nothing. Every thread of every kernel calls
/// it, before it reads what others wrote, writes anything or returns.
inline void start_after_previous() { shim::start_after_previous(); }

#else

__device__ __forceinline__ float bits_to_float(uint32_t bits) { return __uint_as_float(bits); }
__device__ __forceinline__ uint32_t float_to_bits(float value) { return __float_as_uint(value); }
__device__ __forceinline__ bf16 to_bf16(float value) {
  bf16 result;
  asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(result.bits) : "f"(value));
  return result;
}
__device__ __forceinline__ uint32_t pack_bf16(float low, float high) {
  uint32_t result;
  asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(result) : "f"(high), "f"(low));
  return result;
}
__device__ __forceinline__ float exp2_approx(float x) {
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x));
  return result;
}
__device__ __forceinline__ float half_to_float(uint32_t half) {
  float result;
  asm("cvt.f32.f16 %0, %1;" : "=f"(result) : "h"(static_cast<uint16_t>(half)));
  return result;
}
__device__ __forceinline__ uint32_t fma_bf16x2(uint32_t a, uint32_t b, uint32_t c) {
  uint32_t result;
  asm("fma.rn.bf16x2 %0, %1, %2, %3;" : "=r"(result) : "r"(a), "r"(b), "r"(c));
  return result;
}
__device__ __forceinline__ uint32_t shared_address(const void* p) {
  return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}
__device__ __forceinline__ void ldmatrix_x4(uint32_t r[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void ldmatrix_x4_trans(uint32_t r[4], const void* row) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0, %1, %2, %3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(shared_address(row))
               : "memory");
}
__device__ __forceinline__ void mma_bf16(float c[4], const uint32_t a[4], const uint32_t b[2]) {
  asm volatile(
      "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0, %1, %2, %3}, {%4, %5, %6, %7}, {%8, %9}, "
      "{%0, %1, %2, %3};"
      : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
      : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b[0]), "r"(b[1]));
}
__device__ __forceinline__ void cp_async16(void* shared, const void* global, int bytes = 16) {
  asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(shared)), "l"(global), "r"(bytes)
               : "memory");
}
__device__ __forceinline__ void cp_async_commit() { asm volatile("cp.async.commit_group;" ::: "memory"); }
template <int N>
__device__ __forceinline__ void cp_async_wait() {
  asm volatile("cp.async.wait_group %0;" ::"n"(N) : "memory");
}
__device__ __forceinline__ uint4 load_early(const void* from) {
  uint4 v;
  asm volatile("ld.global.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(from)
               : "memory");
  return v;
}
__device__ __forceinline__ uint4 load_streaming(const void* from) {
  uint4 v;
  asm volatile("ld.global.L1::no_allocate.L2::128B.v4.u32 {%0, %1, %2, %3}, [%4];"
               : "=r"(v.x), "=r"(v.y), "=r"(v.z), "=r"(v.w)
               : "l"(from)
               : "memory");
  return v;
}

__device__ __forceinline__ void start_after_previous() {
#if __CUDA_ARCH__ >= 900
  asm volatile("griddepcontrol.wait;" ::: "memory");
  asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
#endif
}

#endif

__device__ __forceinline__ float to_float(bf16 value) { return bits_to_float(static_cast<uint32_t>(value.bits) << 16); }
/// The halves of a packed pair.
__device__ __forceinline__ float low_float(uint32_t pair) { return bits_to_float(pair << 16); }
__device__ __forceinline__ float high_float(uint32_t pair) { return bits_to_float(pair & 0xffff0000u); }

}  // namespace quire::cuda

#endif
