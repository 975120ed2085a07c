// Norm of heads, rotation and cache write: one warp per token and head of q, k or v. A lane holds quads of elements
// that make two pairs: (2i, 2i + 1) and their partners half the rotary dimension on, or 4i .. 4i + 3 when interleaved.
#include "rows.h"

namespace quire::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kMostQuads = 2;  // D <= 256

/// Where the first and the second couple of a quad begin.
__device__ __forceinline__ int2 quad_at(const RopeArgs& a, int quad) {
  const int rotated = a.rotary_dim / 4;
  if (quad >= rotated || a.interleaved != 0) return {4 * quad, 4 * quad + 2};
  return {2 * quad, a.rotary_dim / 2 + 2 * quad};
}

__device__ __forceinline__ uint16_t code_couple(float first, float second, KvKind kind) {
  return static_cast<uint16_t>(code_of(first, kind) | code_of(second, kind) << 8);
}

__global__ void rope_kv_kernel(RopeArgs a) {
  start_after_previous();
  const int lane = threadIdx.x % kWarpSize, token = blockIdx.x, heads = a.heads + 2 * a.kv_heads;
  const int head = blockIdx.y * kWarps + threadIdx.x / kWarpSize;
  if (head >= heads) return;
  const bool is_q = head < a.heads, is_v = head >= a.heads + a.kv_heads;
  const int slot = a.slot[token];
  if (!is_q && slot < 0) return;
  const int dim = a.head_dim, quads = dim / 4;
  const bf16* from = a.qkv + (static_cast<int64_t>(token) * heads + head) * dim;
  float v[kMostQuads][4];
  float sum = 0;
#pragma unroll
  for (int i = 0; i < kMostQuads; i++) {
    const int quad = i * kWarpSize + lane;
    if (quad >= quads) continue;
    const int2 at = quad_at(a, quad);
    const uint32_t first = *reinterpret_cast<const uint32_t*>(from + at.x);
    const uint32_t second = *reinterpret_cast<const uint32_t*>(from + at.y);
    v[i][0] = low_float(first);
    v[i][1] = high_float(first);
    v[i][2] = low_float(second);
    v[i][3] = high_float(second);
    for (float value : v[i]) sum += value * value;
  }
  const float* norm = is_q ? a.q_norm : is_v ? nullptr : a.k_norm;
  if (norm != nullptr) {
    const float inverse = rsqrtf(warp_sum(sum) / static_cast<float>(dim) + a.eps);
#pragma unroll
    for (int i = 0; i < kMostQuads; i++) {
      const int quad = i * kWarpSize + lane;
      if (quad >= quads) continue;
      const int2 at = quad_at(a, quad);
      v[i][0] *= inverse * norm[at.x];
      v[i][1] *= inverse * norm[at.x + 1];
      v[i][2] *= inverse * norm[at.y];
      v[i][3] *= inverse * norm[at.y + 1];
    }
  }
  const float* cosines = a.cos_sin + static_cast<int64_t>(a.position[token]) * a.rotary_dim;
  const float* sines = cosines + a.rotary_dim / 2;
  uint32_t bits = 0;  // of the largest magnitude, NaN above all
#pragma unroll
  for (int i = 0; i < kMostQuads; i++) {
    const int quad = i * kWarpSize + lane;
    if (quad >= quads) continue;
    if (!is_v && quad < a.rotary_dim / 4) {
      const float2 c = *reinterpret_cast<const float2*>(cosines + 2 * quad);
      const float2 s = *reinterpret_cast<const float2*>(sines + 2 * quad);
      // Interleaved, the pairs are (v0, v1), (v2, v3); else (v0, v2), (v1, v3).
      float &x0 = v[i][0], &y0 = a.interleaved != 0 ? v[i][1] : v[i][2];
      float &x1 = a.interleaved != 0 ? v[i][2] : v[i][1], &y1 = v[i][3];
      const float r0 = x0 * c.x - y0 * s.x, i0 = y0 * c.x + x0 * s.x;
      const float r1 = x1 * c.y - y1 * s.y, i1 = y1 * c.y + x1 * s.y;
      x0 = r0;
      y0 = i0;
      x1 = r1;
      y1 = i1;
    }
    for (float value : v[i]) bits = max(bits, float_to_bits(value) & 0x7fffffffu);
  }
  const int offset = slot & ((1 << a.block_shift) - 1);
  bf16* to = a.q_out + (static_cast<int64_t>(token) * a.heads + head) * dim;
  uint8_t* codes = nullptr;
  float factor = 0;
  if (!is_q) {
    const int64_t block_head = static_cast<int64_t>(slot >> a.block_shift) * a.kv_heads + (head - a.heads) % a.kv_heads;
    uint8_t* cache = static_cast<uint8_t*>(is_v ? a.v_cache : a.k_cache) + (block_head << a.block_shift) * token_bytes(a.kv, dim);
    to = reinterpret_cast<bf16*>(cache) + offset * dim;
    if (scaled(a.kv)) {
      codes = cache + offset * dim;
      for (int step = kWarpSize / 2; step > 0; step /= 2) bits = max(bits, __shfl_xor_sync(kAllLanes, bits, step));
      const float largest = bits_to_float(bits);
      // Zero for what is too small to count, or NaN.
      factor = largest > 0x1p-100f ? most_code(a.kv) / largest : 0.0f;
      if (lane == 0) {
        reinterpret_cast<float*>(cache + (static_cast<int64_t>(dim) << a.block_shift))[offset] = largest / most_code(a.kv);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < kMostQuads; i++) {
    const int quad = i * kWarpSize + lane;
    if (quad >= quads) continue;
    const int2 at = quad_at(a, quad);
    if (codes == nullptr) {
      *reinterpret_cast<uint32_t*>(to + at.x) = pack_bf16(v[i][0], v[i][1]);
      *reinterpret_cast<uint32_t*>(to + at.y) = pack_bf16(v[i][2], v[i][3]);
    } else {
      *reinterpret_cast<uint16_t*>(codes + at.x) = code_couple(v[i][0] * factor, v[i][1] * factor, a.kv);
      *reinterpret_cast<uint16_t*>(codes + at.y) = code_couple(v[i][2] * factor, v[i][3] * factor, a.kv);
    }
  }
}

}  // namespace

cudaError_t rope_kv(const RopeArgs& args, cudaStream_t stream) {
  if (args.head_dim % 4 != 0 || args.rotary_dim % 4 != 0 || args.rotary_dim > args.head_dim ||
      args.head_dim > 4 * kMostQuads * kWarpSize) {
    return cudaErrorInvalidValue;
  }
  LAUNCH(rope_kv_kernel, dim3(args.tokens, ceil_div(args.heads + 2 * args.kv_heads, kWarps)), kWarps * kWarpSize, 0,
         stream, args);
  return launched();
}

}  // namespace quire::cuda
