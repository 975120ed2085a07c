// The tensor-core step that decode and prefill share: rows of queries against rows of K and V in shared memory.
// FlashAttention-2 (Dao 2023): softmax runs online in registers, in units of log2. A row is one query head of one
// token; the query heads of a kv head are packed as rows, so that a row of K serves them all.
#ifndef QUIRE_CUDA_ATTENTION_TILE_CUH
#define QUIRE_CUDA_ATTENTION_TILE_CUH

#include "attention.h"

namespace quire::cuda {

/// Elements from one row of queries in shared memory to the next. One vector more than D makes the distance an odd number
/// of 16 bytes, so that the eight rows of a matrix lie in different banks.
template <int D>
constexpr int kRowStride = D + kVector;
/// Bytes from one row of K or V to the next, which are such an odd number too; and vectors of 16 bytes in a row.
template <int D, KvKind kKv>
constexpr int kKvStride = (D * kv_bytes(kKv) / 16 | 1) * 16;
template <int D, KvKind kKv>
constexpr int kKvVectors = D * kv_bytes(kKv) / 16;

/// Bytes of so many positions of K and V in shared memory: rows of K, rows of V, then where there are such the scales.
template <int D, KvKind kKv>
__host__ __device__ constexpr int stage_bytes(int positions) {
  return 2 * positions * (kKvStride<D, kKv> + (scaled(kKv) ? 4 : 0));
}
/// Scales of K in a stage; those of V come behind.
template <int D, KvKind kKv>
__device__ __forceinline__ const float* scales_of(const uint8_t* stage, int positions) {
  return reinterpret_cast<const float*>(stage + 2 * positions * kKvStride<D, kKv>);
}

/// Which columns a lane holds. For bf16 those of a fragment: 2t, 2t + 1 of each 8. Codes come as words of four, which lie
/// in the tensor core's order of columns as bytes 0 and 2, 1 and 3: of each 16 columns of V, 4t and 4t + 2 in one
/// fragment, 4t + 1 and 4t + 3 in the next.
template <KvKind kKv>
__device__ __forceinline__ int couple_column(int n, int lane) {
  return scaled(kKv) ? n / 2 * 16 + lane % 4 * 4 + n % 2 * 2 : n * 8 + lane % 4 * 2;
}
/// Two neighbouring columns of row g + 8 half, which begin at couple_column.
template <KvKind kKv, int N>
__device__ __forceinline__ float2 couple(const float (&out)[N][4], int n, int half) {
  if constexpr (!scaled(kKv)) return make_float2(out[n][2 * half], out[n][2 * half + 1]);
  const int at = 2 * half + n % 2, first = n / 2 * 2;
  return make_float2(out[first][at], out[first + 1][at]);
}

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

/// Four elements of a row of queries, 4t .. 4t + 3 of 16, in the order of codes: into the first and the second half of a
/// fragment.
__device__ __forceinline__ uint2 in_code_order(uint2 four) {
  return {(four.x & 0xffffu) | four.y << 16, four.x >> 16 | (four.y & 0xffff0000u)};
}

/// scores[16 MT, 8 NT] = Q K^T, without the scales of K. queries(q, k) gives the fragments of step k, whose columns are
/// in the order of codes where there are such.
template <int D, KvKind kKv, int MT, int NT, class Queries>
__device__ __forceinline__ void score_keys(float (&scores)[MT][NT][4], const uint8_t* k_rows, int lane, Queries queries) {
  if constexpr (!scaled(kKv)) {
    const uint8_t* at = k_rows + (lane / 16 * 8 + lane % 8) * kKvStride<D, kKv> + lane / 8 % 2 * 16;
#pragma unroll
    for (int k = 0; k < D / 16; k++) {
      uint32_t q[MT][4];
      queries(q, k);
#pragma unroll
      for (int n = 0; n < NT / 2; n++) {
        uint32_t b[4];
        ldmatrix_x4(b, at + n * 16 * kKvStride<D, kKv> + k * 32);
#pragma unroll
        for (int m = 0; m < MT; m++) {
          mma_bf16(scores[m][2 * n], q[m], b);
          mma_bf16(scores[m][2 * n + 1], q[m], b + 2);
        }
      }
    }
  } else {
    // A load of four matrices is of 32 positions, or where there are but 16, of two steps; the last one may be alone.
    constexpr bool kWide = NT >= 4;
    constexpr int kSteps = kWide ? 1 : 2, kTiles = kWide ? 2 : 1;
#pragma unroll
    for (int k = 0; k < D / 16; k += kSteps) {
      const bool both = kWide || k + 1 < D / 16;
      const uint8_t* at = k_rows + (kWide ? lane : lane % 16) * kKvStride<D, kKv> + (k + (!kWide && both ? lane / 16 : 0)) * 16;
      uint32_t q[kSteps][MT][4];
#pragma unroll
      for (int i = 0; i < (both ? kSteps : 1); i++) queries(q[i], k + i);
#pragma unroll
      for (int n = 0; n < NT / 2; n += kTiles) {
        uint32_t words[4];
        ldmatrix_x4(words, at + n * 16 * kKvStride<D, kKv>);
#pragma unroll
        for (int j = 0; j < (both ? 4 : 2); j++) {
          const uint32_t b[2] = {code_pair<kKv>(words[j]), code_pair<kKv>(words[j] >> 8)};
#pragma unroll
          for (int m = 0; m < MT; m++) mma_bf16(scores[m][2 * n + (kWide ? j : j % 2)], q[kWide ? 0 : j / 2][m], b);
        }
      }
    }
  }
}

/// Multiplies the columns of scores with the scales of their positions.
template <int MT, int NT>
__device__ __forceinline__ void scale_columns(float (&scores)[MT][NT][4], const float* scales, int lane) {
#pragma unroll
  for (int n = 0; n < NT; n++) {
    const float2 scale = *reinterpret_cast<const float2*>(scales + n * 8 + lane % 4 * 2);
#pragma unroll
    for (int m = 0; m < MT; m++) {
      scores[m][n][0] *= scale.x;
      scores[m][n][1] *= scale.y;
      scores[m][n][2] *= scale.x;
      scores[m][n][3] *= scale.y;
    }
  }
}

/// out[16 MT, D] += weights[16 MT, 8 NT] V[8 NT, D], the weights, which include the scales of V, rounded to bf16.
template <int D, KvKind kKv, int MT, int NT>
__device__ __forceinline__ void weigh_values(RowState<D, MT>& state, const float (&weights)[MT][NT][4], const uint8_t* v_rows,
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
    const uint8_t* at = v_rows + (k * 16 + lane % 16) * kKvStride<D, kKv>;
    if constexpr (!scaled(kKv)) {
#pragma unroll
      for (int n = 0; n < D / 16; n++) {
        uint32_t b[4];
        ldmatrix_x4_trans(b, at + n * 32 + lane / 16 * 16);
#pragma unroll
        for (int m = 0; m < MT; m++) {
          mma_bf16(state.out[m][2 * n], a[m], b);
          mma_bf16(state.out[m][2 * n + 1], a[m], b + 2);
        }
      }
    } else {
#pragma unroll
      for (int n = 0; n < D / 16; n += 2) {
        const bool two = n + 1 < D / 16;
        uint32_t words[4];
        ldmatrix_x4_trans(words, at + (n + (two ? lane / 16 : 0)) * 16);
#pragma unroll
        for (int j = 0; j < (two ? 4 : 2); j++) {
          const int shift = j % 2 * 8;
          const uint32_t b[2] = {code_pair<kKv>(words[j / 2 * 2] >> shift), code_pair<kKv>(words[j / 2 * 2 + 1] >> shift)};
#pragma unroll
          for (int m = 0; m < MT; m++) mma_bf16(state.out[m][2 * n + j], a[m], b);
        }
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
