// Attention, tier 0: one warp per token and head, one position at a time, online softmax in float32.
#include "attention.h"

namespace quire::cuda {
namespace {

constexpr int kMostPerLane = 8;  // D <= 256

__global__ void attention_plain_kernel(AttentionArgs a, const int32_t* query_start, const int32_t* length, int sequences) {
  start_after_previous();
  const int token = blockIdx.x, head = blockIdx.y, lane = threadIdx.x;
  int sequence = 0;
  while (sequence < sequences && query_start[sequence + 1] <= token) sequence++;
  if (sequence == sequences) return;
  const int position = length[sequence] - (query_start[sequence + 1] - token);
  const int kv_head = head / (a.heads / a.kv_heads), dim = a.head_dim, block_tokens = 1 << a.block_shift;
  const bf16* q = a.q + (static_cast<int64_t>(token) * a.heads + head) * dim;
  float sums[kMostPerLane] = {}, largest = -INFINITY, total = 0;
  for (int p = a.window > 0 ? max(0, position - a.window + 1) : 0; p <= position; p++) {
    const int64_t block = a.block_table[static_cast<int64_t>(sequence) * a.table_stride + (p >> a.block_shift)];
    const int64_t at = ((block * a.kv_heads + kv_head) << a.block_shift) * token_bytes(a.kv, dim);
    const uint8_t *keys = static_cast<const uint8_t*>(a.k_cache) + at, *values = static_cast<const uint8_t*>(a.v_cache) + at;
    const int row = p & (block_tokens - 1);
    float score = 0;
    for (int d = lane; d < dim; d += kWarpSize) score += to_float(q[d]) * element(keys, a.kv, block_tokens, dim, row, d);
    score = warp_sum(score) * a.scale;
    if (a.softcap > 0) score = a.softcap * tanhf(score / a.softcap);
    const float most = fmaxf(largest, score);
    const float keep = expf(largest - most), weight = expf(score - most);
    total = total * keep + weight;
    for (int i = 0; i < kMostPerLane; i++) {
      const int d = lane + i * kWarpSize;
      if (d < dim) sums[i] = sums[i] * keep + weight * element(values, a.kv, block_tokens, dim, row, d);
    }
    largest = most;
  }
  for (int i = 0; i < kMostPerLane; i++) {
    const int d = lane + i * kWarpSize;
    if (d < dim) a.out[(static_cast<int64_t>(token) * a.heads + head) * dim + d] = to_bf16(sums[i] / total);
  }
}

}  // namespace

cudaError_t attention_plain(const AttentionArgs& args, const int32_t* query_start, const int32_t* length, int sequences,
                            int tokens, cudaStream_t stream) {
  LAUNCH(attention_plain_kernel, dim3(tokens, args.heads), kWarpSize, 0, stream, args, query_start, length, sequences);
  return launched();
}

}  // namespace quire::cuda
