// The kernels of one instruction set level, as a table of functions, and the jobs that they work on.
//
// kernels.cpp is compiled once per level. Headers that it includes hold no inline function of external linkage: the
// linker would keep one copy of it, perhaps the one compiled for a level that the machine lacks.
#ifndef QUIRE_CPU_KERNELS_H
#define QUIRE_CPU_KERNELS_H

#include <stdint.h>

#include "layout.h"
#include "quire.h"

namespace quire {

/// Rows of x that share a block of the quantised form.
constexpr int kRowBlock = 8;

/// The activations of a linear operation in the form that its weights want: groups of 32 columns, x = scale * code.
/// Blocks of 8 rows are interleaved so that a kernel reaches each row at a constant distance. There is room for an even
/// number of groups. What no part's kernels read is null.
struct QuantisedRows {
  int8_t* codes;       // [row / 8][group][row % 8][32]; high bytes when low is there
  int8_t* low;         // low bytes (QR_HIGH_PRECISION)
  float* factors;      // for 8-bit codes [row / 8][group][3][8]: scale, -scale * 12582912, scale * sum of codes
  int32_t* starts[3];  // per part without minima [row / 8][group][2][8]: start value of the integer sum, per half group
  // For 4-bit codes, whose groups come in pairs (ADR 9): a group's scale is the pair's, times a power of two.
  float* pair_scales;  // [row / 8][pair][8]
  int32_t* pairs;      // [row / 8][pair][4][8]: the exponents of both groups, and as two int16 their sums of codes, times
                       // those powers; of high bytes and of low ones where there are such
};

/// Groups of 32 columns that the quantised form has room for.
static inline int64_t group_slots(int64_t cols) { return round_up(cols / kGroup, 2); }

struct LinearPart {
  const uint8_t* data;
  const Format* format;
  TileLayout tile;
  int64_t tiles, rows;
  int column;  // of out
};

/// A linear operation. Its work is cut along the outputs into units, and along the rows.
struct LinearJob {
  const float* x;
  float* out;
  const float* bias;
  LinearPart parts[3];
  int n_parts, rows, in_cols, out_cols;
  bool add, high, quantised;
  bool paired, single;  // some part has 4-bit codes; some has 8-bit codes
  QuantisedRows q;
  // What is done with a unit of the outputs while the cache holds them, instead of writing them to `out`:
  const QrGated* gate;     // a unit is gate_columns outputs of gate and up each
  const QrRopeKv* rope;    // a unit is a head of queries, keys or values
  const QrStep* step;      // where rope is there
  int rope_flags, gate_columns;
  const LinearJob* feeds;  // takes what the gate gives, quantised
  int64_t tiles;           // of all parts
  int unit_tiles, units_per_item, rows_per_item;
  int64_t units, unit_items, items;
};

/// Rows that a fused unit is computed for at a time: few enough for the first cache.
constexpr int kFusedRows = 32;

struct AttentionTile {
  int32_t sequence, first, count;      // query tokens [first, first + count)
  int32_t sequence_tile, sequence_tiles;  // the first tile of the sequence, and how many it has
};

struct AttentionJob {
  const QrAttention* op;
  const QrStep* step;
  const AttentionTile* tiles;
  int heads_per_item, splits;  // query heads of a kv head: splits * heads_per_item cover the group
  int parts;                   // items of a tile: kv heads * splits
  int threads;                 // that work on it
  int64_t items;
  const LinearJob* feeds;  // takes the output, quantised
};

/// Query tokens and query heads of an item of attention, at most; a row is one head of one token.
constexpr int kTileTokens = 16, kMaxHeadsPerItem = 4, kMostItemRows = kTileTokens * kMaxHeadsPerItem;
/// Rows of attention that are computed together, at most, at any level.
constexpr int kMostScoreRows = 8;
/// Positions whose codes are made words together, and whose weights share a scale.
constexpr int64_t kCodePositions = 64;

struct Scan {
  float largest;
  bool bad;  // a NaN or +infinity was seen
};

/// Logits in one block of a scan's maxima.
constexpr int kScanBlock = 64;
/// Weights in one block of partial sums.
constexpr int kSumBlock = 1024;

struct Kernels {
  /// Puts groups [first, first + n) of a row, whose values begin at x, into the form that the job's weights want.
  void (*quantise)(const LinearJob& job, const QuantisedRows& q, const float* x, int64_t row, int64_t first,
                   int64_t n);
  /// scratch: linear_scratch_floats.
  void (*linear)(const LinearJob& job, const QuantisedRows& q, int64_t item, float* scratch);
  void (*rms_norm)(const float* x, const float* weight, float* out, int cols, float eps);
  void (*gated)(const float* gate_up, float* out, int inner, int activation);
  void (*rope_kv)(const QrRopeKv& op, const QrStep& step, int flags, int64_t token, float* scratch);
  void (*attention)(const AttentionJob& job, int64_t item, float* scratch);
  /// Elements [begin, end) of each part become the sum of those of all n parts, in order.
  void (*sum_up)(float* const* parts, int n, int64_t begin, int64_t end);
  /// Largest value, and the largest of each block of kScanBlock.
  Scan (*scan)(const float* x, int64_t n, float* block_max);
  /// weights[i] = e^((x[i] - largest) / temperature), and the sum of each block of kSumBlock.
  void (*weigh)(const float* x, int64_t n, float largest, float temperature, float* weights,
                float* block_sums);
};

/// Floats that a fused linear operation needs beside its operands.
static inline int64_t linear_scratch_floats(const LinearJob& job) {
  if (job.gate != nullptr) return kFusedRows * 2 * job.gate_columns;
  return job.rope != nullptr ? (kFusedRows + 2) * (int64_t)job.rope->head_dim + 32 : 0;
}

/// Floats in a row of attention scores over `positions` positions, for any level.
static inline int64_t score_stride(int64_t positions) { return round_up(positions, 64) + 64 + 16; }

/// The table of a level (QR_ISA_*), or null when this library or this machine lacks it; AUTO gives the best.
const Kernels* kernels_for(int isa, int* chosen);

}  // namespace quire

#endif
