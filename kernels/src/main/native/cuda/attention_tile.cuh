// The tensor-core step that decode and prefill share: rows of queries against rows of K and V in shared memory.
// FlashAttention-2 (Dao 2023): softmax runs online in registers, in units of log2. A row is one query head of one
// token; the query heads of a kv head are packed as rows, so that a row of K serves them all.
#ifndef QUIRE_CUDA_ATTENTION_TILE_CUH
#define QUIRE_CUDA_ATTENTION_TILE_CUH

#include "attention.h"

namespace quire::cuda {

/// Elements from one row of shared memory to the next. One vector more than D makes the distance an odd number of
/// 16 bytes, so that the eight rows of a matrix lie in different banks.
template <int D>
constexpr int kRowStride = D + kVector;

/// What a warp holds of MT * 16 rows. Lane l holds columns 2t, 2t + 1 of rows g and g + 8 of each 16.
template <int D, int MT>
struct RowState {
  float out[MT][D / 8][4];
  float largest[MT][2];  // of the raw scores
  float sum[MT][2];      // this lane's share

  __device__ __forceinline__ void clear() {
#pragma unroll
    for (int m = 0; m < MT; m++) {
#pragma unroll
      for (int n = 0; n < D / 8; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) out[m][n][i] = 0;
      }
      largest[m][0] = largest[m][1] = -INFINITY;
      sum[m][0] = sum[m][1] = 0;
    }
  }

  /// Takes in scores[16 rows, 8 NT columns] of tile m, and leaves the weights there.
  template <int NT>
  __device__ __forceinline__ void softmax(float (&scores)[NT][4], int m, float scale_log2) {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      float most = scores[0][2 * half];
#pragma unroll
      for (int n = 0; n < NT; n++) most = fmaxf(most, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]));
      most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, 1));
      most = fmaxf(most, __shfl_xor_sync(kAllLanes, most, 2));
      most = fmaxf(most, largest[m][half]);
      const float base = most == -INFINITY ? 0.0f : most * scale_log2;
      const float keep = exp2_approx(largest[m][half] * scale_log2 - base);
      float total = sum[m][half] * keep;
#pragma unroll
      for (int n = 0; n < NT; n++) {
#pragma unroll
        for (int i = 2 * half; i < 2 * half + 2; i++) {
          scores[n][i] = exp2_approx(scores[n][i] * scale_log2 - base);
          total += scores[n][i];
        }
      }
#pragma unroll
      for (int n = 0; n < D / 8; n++) {
        out[m][n][2 * half] *= keep;
        out[m][n][2 * half + 1] *= keep;
      }
      sum[m][half] = total;
      largest[m][half] = most;
    }
  }

  /// Adds up the shares of the four lanes of each row.
  __device__ __forceinline__ void finish() {
#pragma unroll
    for (int m = 0; m < MT; m++) {
#pragma unroll
      for (int half = 0; half < 2; half++) {
        sum[m][half] += __shfl_xor_sync(kAllLanes, sum[m][half], 1);
        sum[m][half] += __shfl_xor_sync(kAllLanes, sum[m][half], 2);
      }
    }
  }
};

/// Fragments of K^T for columns (= tokens) [n * 16, n * 16 + 16) and step k: b[0..1] the first eight, b[2..3] the rest.
template <int D>
__device__ __forceinline__ void load_keys(uint32_t b[4], const bf16* k_rows, int n, int k, int lane) {
  ldmatrix_x4(b, k_rows + (n * 16 + lane / 16 * 8 + lane % 8) * kRowStride<D> + k * 16 + lane / 8 % 2 * 8);
}

/// out[16 MT, D] += weights[16 MT, 8 NT] V[8 NT, D], the weights rounded to bf16.
template <int D, int MT, int NT>
__device__ __forceinline__ void weigh_values(RowState<D, MT>& state, const float (&weights)[MT][NT][4], const bf16* v_rows,
                                             int lane) {
#pragma unroll
  for (int k = 0; k < NT / 2; k++) {
    uint32_t a[MT][4];
#pragma unroll
    for (int m = 0; m < MT; m++) {
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const float* pair = &weights[m][2 * k + i / 2][i % 2 * 2];
        a[m][i] = pack_bf16(pair[0], pair[1]);
      }
    }
#pragma unroll
    for (int n = 0; n < D / 16; n++) {
      uint32_t b[4];
      ldmatrix_x4_trans(b, v_rows + (k * 16 + lane % 16) * kRowStride<D> + n * 16 + lane / 16 * 8);
#pragma unroll
      for (int m = 0; m < MT; m++) {
        mma_bf16(state.out[m][2 * n], a[m], b);
        mma_bf16(state.out[m][2 * n + 1], a[m], b + 2);
      }
    }
  }
}

/// What of the context the rows of a tile see.
struct Mask {
  int position;  // of the tile's first token
  int group;     // rows of one token
  int window;

  /// Whether some row of `rows` does not see all of [begin, begin + count).
  __device__ __forceinline__ bool cuts(int begin, int count, int rows) const {
    return begin + count - 1 > position || (window > 0 && begin <= position + (rows - 1) / group - window);
  }
  __device__ __forceinline__ bool sees(int row, int p) const {
    const int own = position + row / group;
    return p <= own && (window == 0 || p > own - window);
  }
};

/// Scores before scaling, so that scale * result is the capped score.
template <int NT>
__device__ __forceinline__ void cap_scores(float (&scores)[NT][4], float scale, float softcap) {
#pragma unroll
  for (int n = 0; n < NT; n++) {
#pragma unroll
    for (int i = 0; i < 4; i++) scores[n][i] = softcap / scale * tanhf(scores[n][i] * scale / softcap);
  }
}

/// Hides what the rows do not see. row: of lane's first; column: of the first score.
template <int NT>
__device__ __forceinline__ void hide(float (&scores)[NT][4], const Mask& mask, int row, int column, int lane) {
#pragma unroll
  for (int n = 0; n < NT; n++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      if (!mask.sees(row + i / 2 * 8, column + n * 8 + lane % 4 * 2 + i % 2)) scores[n][i] = -INFINITY;
    }
  }
}

}  // namespace quire::cuda

#endif
