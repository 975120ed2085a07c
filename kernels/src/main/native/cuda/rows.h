// Operations on rows: norm, rotary embedding and cache write, gate, embedding, gather, copies of blocks.
#ifndef QUIRE_CUDA_ROWS_H
#define QUIRE_CUDA_ROWS_H

#include "gemm.h"
#include "kv_codes.cuh"

namespace quire::cuda {

/// x += delta (where given); out = x / sqrt(mean(x^2) + eps) * weight. x, delta, out [rows, cols], cols % 8 == 0.
struct NormArgs {
  bf16* x;
  const bf16* delta;   // or null
  const float* weight; // [cols]
  bf16* out;
  int32_t rows, cols;
  float eps;
};
cudaError_t rms_norm(const NormArgs& args, cudaStream_t stream);

/// As QR_OP_ROPE_KV: per-head norm of q and k where given, rotation of the first rotary_dim columns, q to q_out, k and
/// v into the cache at slot[t], which is block * block_tokens + offset, -1 for nowhere.
struct RopeArgs {
  const bf16* qkv;         // [T, (H + 2 Hkv) D]
  bf16* q_out;             // [T, H, D]
  const float *q_norm, *k_norm;  // [D], or null
  const float* cos_sin;    // [positions, rotary_dim]: first half cosines, second half sines
  void *k_cache, *v_cache; // [blocks, Hkv, block_tokens, D], elements of kind kv
  const int32_t *position, *slot;  // [T]
  int32_t tokens, heads, kv_heads, head_dim, rotary_dim;  // the dims multiples of 4
  int32_t block_shift;
  int32_t interleaved;     // pairs (2i, 2i + 1), not (i, i + rotary_dim / 2)
  float eps;
  KvKind kv;
};
cudaError_t rope_kv(const RopeArgs& args, cudaStream_t stream);

/// out[t, i] = act(gate_up[t, i]) * gate_up[t, inner + i]; inner % 8 == 0.
struct GatedArgs {
  const bf16* gate_up;  // [T, 2 inner]
  bf16* out;            // [T, inner]
  int32_t tokens, inner, gelu;  // gelu 0: silu, 1: the tanh form of gelu
};
cudaError_t gated(const GatedArgs& args, cudaStream_t stream);

/// out[t, :] = weight[token[t], :] * scale, of weights in any format; cols % 8 == 0.
struct EmbedArgs {
  const void* weight;  // [vocab, cols]
  WeightFormat format;
  bf16* out;           // [T, cols]
  const int32_t* token;
  int32_t tokens, cols;
  float scale;
};
cudaError_t embed(const EmbedArgs& args, cudaStream_t stream);

/// token[t] = drawn[carry[t]] where carry[t] is not -1, moved into [0, vocab). drawn may be page-locked host memory.
struct CarryArgs {
  const int32_t *carry, *drawn;
  int32_t* token;
  int32_t tokens, vocab;
};
cudaError_t carry_tokens(const CarryArgs& args, cudaStream_t stream);

/// out[r, c] = row[c], a row of out every `stride` elements.
cudaError_t repeat_row(const float* row, bf16* out, int rows, int cols, int stride, cudaStream_t stream);

/// out[r, :] = x[row[r], :], cols % 8 == 0.
cudaError_t gather_rows(const bf16* x, const int32_t* row, bf16* out, int rows, int cols, cudaStream_t stream);

/// out[r, k cols + c] = parts[k, r, c], for columns below out_cols. parts [ranks, rows, cols], out [rows, out_cols].
cudaError_t place_columns(const float* parts, float* out, int rows, int cols, int out_cols, cudaStream_t stream);

/// For each pair (from, to) of block ids, in each of `regions` regions: copies block_bytes, a multiple of 16.
cudaError_t copy_blocks(void* base, const int32_t* pairs, int n, int64_t region_bytes, int64_t block_bytes, int regions,
                        cudaStream_t stream);

/// Moves blocks between the device and page-locked memory of the host, where a block's regions lie one behind the other.
struct SwapArgs {
  uint8_t *device, *host;
  const int32_t* pairs;  // [n, 2] (device block, host block) when out, else (host block, device block)
  int64_t region_bytes, block_bytes;  // multiples of 16
  int32_t regions, n;
  bool out;              // from the device
};
cudaError_t swap_blocks(const SwapArgs& args, cudaStream_t stream);

}  // namespace quire::cuda

#endif
