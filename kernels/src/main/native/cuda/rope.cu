// Norm of heads, rotation and cache write. A lane holds two runs of elements of one token's head of q, k or v: a run and its
// partners half the rotary dimension on, or all in order where pairs are interleaved or not rotated.
#include "rows.h"

namespace quire::cuda {
namespace {

constexpr int kWarps = 8;
constexpr int kMostDim = 256;

/// A unit is two runs of kRun elements; kMost a lane.
template <int kRun>
struct Runs {
  static constexpr int kElements = 2 * kRun, kMost = kMostDim / (kElements * kWarpSize);
};

/// Where the first and the second run of a unit begin.
template <int kRun>
__device__ __forceinline__ int2 unit_at(const RopeArgs& a, int unit) {
  const bool rotated = unit < a.rotary_dim / (2 * kRun);
  if (!rotated || a.interleaved != 0) return {2 * kRun * unit, 2 * kRun * unit + kRun};
  return {kRun * unit, a.rotary_dim / 2 + kRun * unit};
}

template <int kRun>
__device__ __forceinline__ void load_run(float* v, const bf16* from) {
  uint32_t words[kRun / 2];
  if constexpr (kRun == 4) {
    const uint2 both = *reinterpret_cast<const uint2*>(from);
    words[0] = both.x;
    words[1] = both.y;
  } else {
    words[0] = *reinterpret_cast<const uint32_t*>(from);
  }
#pragma unroll
  for (int w = 0; w < kRun / 2; w++) {
    v[2 * w] = low_float(words[w]);
    v[2 * w + 1] = high_float(words[w]);
  }
}

template <int kRun>
__device__ __forceinline__ void load_floats(float* v, const float* from) {
  if constexpr (kRun == 4) {
    const float4 all = *reinterpret_cast<const float4*>(from);
    v[0] = all.x, v[1] = all.y, v[2] = all.z, v[3] = all.w;
  } else {
    const float2 both = *reinterpret_cast<const float2*>(from);
    v[0] = both.x, v[1] = both.y;
  }
}

template <int kRun>
__device__ __forceinline__ void store_run(bf16* to, const float* v) {
  if constexpr (kRun == 4) {
    *reinterpret_cast<uint2*>(to) = {pack_bf16(v[0], v[1]), pack_bf16(v[2], v[3])};
  } else {
    *reinterpret_cast<uint32_t*>(to) = pack_bf16(v[0], v[1]);
  }
}

template <int kRun>
__device__ __forceinline__ void store_codes(uint8_t* to, const float* v, float factor, KvKind kind) {
  uint32_t codes = 0;
#pragma unroll
  for (int e = 0; e < kRun; e++) codes |= code_of(v[e] * factor, kind) << 8 * e;
  if constexpr (kRun == 4) {
    *reinterpret_cast<uint32_t*>(to) = codes;
  } else {
    *reinterpret_cast<uint16_t*>(to) = static_cast<uint16_t>(codes);
  }
}

/// `lanes` a head, a power of two.
template <int kRun>
__global__ void rope_kv_kernel(RopeArgs a, int lanes) {
  start_after_previous();
  using R = Runs<kRun>;
  const int thread = blockIdx.y * kWarps * kWarpSize + threadIdx.x, lane = thread % lanes, token = blockIdx.x;
  const int heads = a.heads + 2 * a.kv_heads, head = min(thread / lanes, heads - 1);
  const bool is_q = head < a.heads, is_v = head >= a.heads + a.kv_heads, stored = thread / lanes < heads;
  const int slot = a.slot[token], dim = a.head_dim, units = dim / R::kElements;
  const bf16* from = a.qkv + (static_cast<int64_t>(token) * heads + head) * dim;
  float v[R::kMost][R::kElements];
  float sum = 0;
#pragma unroll
  for (int i = 0; i < R::kMost; i++) {
    const int unit = i * lanes + lane;
    if (unit >= units) continue;
    const int2 at = unit_at<kRun>(a, unit);
    load_run<kRun>(v[i], from + at.x);
    load_run<kRun>(v[i] + kRun, from + at.y);
    for (float value : v[i]) sum += value * value;
  }
  // Every lane of a warp takes part in the shuffles, whatever its head needs.
  if (a.q_norm != nullptr || a.k_norm != nullptr) {
    for (int step = lanes / 2; step > 0; step /= 2) sum += __shfl_xor_sync(kAllLanes, sum, step);
  }
  const float* norm = is_q ? a.q_norm : is_v ? nullptr : a.k_norm;
  if (norm != nullptr) {
    const float inverse = rsqrtf(sum / static_cast<float>(dim) + a.eps);
#pragma unroll
    for (int i = 0; i < R::kMost; i++) {
      const int unit = i * lanes + lane;
      if (unit >= units) continue;
      const int2 at = unit_at<kRun>(a, unit);
#pragma unroll
      for (int e = 0; e < kRun; e++) {
        v[i][e] *= inverse * norm[at.x + e];
        v[i][kRun + e] *= inverse * norm[at.y + e];
      }
    }
  }
  const float* cosines = a.cos_sin + static_cast<int64_t>(a.position[token]) * a.rotary_dim;
  uint32_t bits = 0;  // of the largest magnitude, NaN above all
#pragma unroll
  for (int i = 0; i < R::kMost; i++) {
    const int unit = i * lanes + lane;
    if (unit >= units) continue;
    if (!is_v && unit < a.rotary_dim / R::kElements) {
      float c[kRun], s[kRun];
      load_floats<kRun>(c, cosines + kRun * unit);
      load_floats<kRun>(s, cosines + a.rotary_dim / 2 + kRun * unit);
#pragma unroll
      for (int e = 0; e < kRun; e++) {
        float &x = a.interleaved != 0 ? v[i][2 * e] : v[i][e], &y = a.interleaved != 0 ? v[i][2 * e + 1] : v[i][kRun + e];
        const float real = x * c[e] - y * s[e], imaginary = y * c[e] + x * s[e];
        x = real;
        y = imaginary;
      }
    }
    for (float value : v[i]) bits = max(bits, float_to_bits(value) & 0x7fffffffu);
  }
  if (scaled(a.kv)) {
    for (int step = lanes / 2; step > 0; step /= 2) bits = max(bits, __shfl_xor_sync(kAllLanes, bits, step));
  }
  if (!stored || (!is_q && slot < 0)) return;
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
      const float largest = bits_to_float(bits);
      // Zero for what is too small to count, or NaN.
      factor = largest > 0x1p-100f ? most_code(a.kv) / largest : 0.0f;
      if (lane == 0) {
        reinterpret_cast<float*>(cache + (static_cast<int64_t>(dim) << a.block_shift))[offset] = largest / most_code(a.kv);
      }
    }
  }
#pragma unroll
  for (int i = 0; i < R::kMost; i++) {
    const int unit = i * lanes + lane;
    if (unit >= units) continue;
    const int2 at = unit_at<kRun>(a, unit);
    if (codes == nullptr) {
      store_run<kRun>(to + at.x, v[i]);
      store_run<kRun>(to + at.y, v[i] + kRun);
    } else {
      store_codes<kRun>(codes + at.x, v[i], factor, a.kv);
      store_codes<kRun>(codes + at.y, v[i] + kRun, factor, a.kv);
    }
  }
}

template <int kRun>
void launch(const RopeArgs& a, cudaStream_t stream) {
  int lanes = 1;
  while (lanes < kWarpSize && lanes * 2 * kRun < a.head_dim) lanes *= 2;
  const int threads = (a.heads + 2 * a.kv_heads) * lanes;
  LAUNCH(rope_kv_kernel<kRun>, dim3(a.tokens, ceil_div(threads, kWarps * kWarpSize)), kWarps * kWarpSize, 0, stream, a, lanes);
}

}  // namespace

cudaError_t rope_kv(const RopeArgs& args, cudaStream_t stream) {
  if (args.head_dim % 4 != 0 || args.rotary_dim % 4 != 0 || args.rotary_dim > args.head_dim || args.head_dim > kMostDim) {
    return cudaErrorInvalidValue;
  }
  args.head_dim % 8 == 0 && args.rotary_dim % 8 == 0 ? launch<4>(args, stream) : launch<2>(args, stream);
  return launched();
}

}  // namespace quire::cuda
