// The elements of the KV cache: bf16, or a code of a byte that stands for scale * code. Each block has, for each kv head,
// the elements [token in block][D] of K, or of V, and behind the codes the scales [token in block] in float32.
#ifndef QUIRE_CUDA_KV_CODES_CUH
#define QUIRE_CUDA_KV_CODES_CUH

#include "device.cuh"

namespace quire::cuda {

enum class KvKind : int32_t { kBf16, kInt8, kFp8 };

__host__ __device__ constexpr bool scaled(KvKind kind) { return kind != KvKind::kBf16; }
/// Bytes of an element.
__host__ __device__ constexpr int kv_bytes(KvKind kind) { return scaled(kind) ? 1 : 2; }
/// Bytes that a token takes of one head of K, or of V.
__host__ __device__ constexpr int token_bytes(KvKind kind, int head_dim) {
  return scaled(kind) ? head_dim + 4 : 2 * head_dim;
}
/// The largest code.
__host__ __device__ constexpr float most_code(KvKind kind) { return kind == KvKind::kInt8 ? 127.0f : 448.0f; }

/// Codes of bytes 0 and 2 of a word as bf16; those of bytes 1 and 3 are the pair of word >> 8. Exact.
template <KvKind kKv>
__device__ __forceinline__ uint32_t code_pair(uint32_t word) {
  const uint32_t low = word & 0x007f007fu, sign = word & 0x00800080u;
  if constexpr (kKv == KvKind::kInt8) {
    // The low 7 bits are the mantissa of 128 + them; the sign bit makes the number taken away 256 instead of 128.
    return fma_bf16x2(low | 0x43004300u, 0x3f803f80u, sign | 0xc300c300u);
  } else {
    // Exponent and mantissa of E4M3, where bf16 has its own, are the number times 2^-120, subnormal or not.
    return fma_bf16x2(low << 4 | sign << 8, 0x7b807b80u, 0x80008000u);
  }
}

/// The nearest code of a number of at most most_code, even on ties.
__device__ __forceinline__ uint32_t code_of(float value, KvKind kind) {
  if (kind == KvKind::kInt8) return static_cast<uint32_t>(static_cast<int32_t>(rintf(value))) & 0xffu;
  const uint32_t bits = float_to_bits(value), sign = bits >> 24 & 0x80u;
  const uint32_t magnitude = min(bits & 0x7fffffffu, 0x43e00000u);  // 448
  if (magnitude < 0x3c800000u) {  // subnormal: the last bit of 16384.0f is 2^-9
    return sign | (float_to_bits(bits_to_float(magnitude) + 16384.0f) - 0x46800000u);
  }
  return sign | (((magnitude + 0x7ffffu + (magnitude >> 20 & 1u)) >> 20) - (120u << 3));
}

/// The number that an element stands for. head: of a block; row: token in the block.
__device__ __forceinline__ float element(const uint8_t* head, KvKind kind, int block_tokens, int head_dim, int row, int d) {
  if (kind == KvKind::kBf16) return to_float(reinterpret_cast<const bf16*>(head)[row * head_dim + d]);
  const uint32_t code = head[row * head_dim + d];
  const float scale = reinterpret_cast<const float*>(head + block_tokens * head_dim)[row];
  return scale * low_float(kind == KvKind::kInt8 ? code_pair<KvKind::kInt8>(code) : code_pair<KvKind::kFp8>(code));
}

}  // namespace quire::cuda

#endif
