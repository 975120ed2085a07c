// Joins neighbouring operations, lays out quantised rows, and cuts linear operations into items.
#include <algorithm>

#include "device.h"

namespace quire {
namespace {

/// With so few rows each worker norms and quantises them for itself: cheaper than to meet.
constexpr int kRowsForEach = 4;

/// From so many rows on an operation is bound by arithmetic, not by memory.
constexpr int kManyRows = 64;

template <class Args>
const Args& args_of(const Prepared& entry) {
  return *reinterpret_cast<const Args*>(entry.op->args);
}

bool is(const Prepared& entry, int opcode) { return entry.op->opcode == opcode && !entry.absorbed; }

bool same_rows(const Prepared& a, const Prepared& b) {
  return ((a.op->flags ^ b.op->flags) & QR_ROWS_LOGITS) == 0;
}

bool wholly_quantised(const LinearJob& job) {
  return std::all_of(job.parts, job.parts + job.n_parts, [](const LinearPart& p) { return p.format->code_bits != 0; });
}

/// Whether a linear operation takes the `cols` columns at `out` in quantised form.
bool takes(const Prepared& linear, uint64_t out, int cols) {
  return is(linear, QR_OP_LINEAR) && linear.linear.quantised && linear.linear.rows > 0 &&
         reinterpret_cast<uint64_t>(linear.linear.x) == out && linear.linear.in_cols == cols;
}

/// The same, and nothing else of it: the columns themselves need not be written.
bool takes_only_codes(const Prepared& linear, uint64_t out, int cols) {
  return takes(linear, out, cols) && wholly_quantised(linear.linear);
}

/// Columns of x that are quantised together.
int columns_of_scale(const LinearJob& job) { return job.paired ? 2 * kGroup : kGroup; }

void fuse_norm(Prepared& norm, Prepared& linear, int threads) {
  const QrRmsNorm& a = args_of<QrRmsNorm>(norm);
  if (!same_rows(norm, linear) || !takes(linear, a.out, a.cols)) return;
  // Nobody may write what another worker still norms.
  const bool apart = a.out != a.x && reinterpret_cast<uint64_t>(linear.linear.out) != a.x;
  if (threads > 1 && linear.linear.rows <= kRowsForEach && wholly_quantised(linear.linear) && apart) {
    linear.norm = &a;
    norm.absorbed = true;
  } else {
    norm.feeds = &linear.linear;
    linear.fed = true;
  }
}

void fuse_attention(Prepared& attention, Prepared& linear) {
  const QrAttention& a = *attention.attention.op;
  if ((linear.op->flags & QR_ROWS_LOGITS) != 0) return;
  if (!takes_only_codes(linear, a.out, a.heads * a.head_dim)) return;
  if (a.head_dim % columns_of_scale(linear.linear) != 0) return;
  attention.attention.feeds = &linear.linear;
  linear.fed = true;
}

void fuse_gate(Prepared& linear, Prepared& gated) {
  LinearJob& job = linear.linear;
  const QrGated& a = args_of<QrGated>(gated);
  if (reinterpret_cast<uint64_t>(job.out) != a.gate_up || job.n_parts != 2 || job.add ||
      !same_rows(linear, gated) || job.parts[0].rows != a.inner || job.parts[1].rows != a.inner || a.inner % kGroup != 0 ||
      reinterpret_cast<uint64_t>(job.x) == a.out) {
    return;
  }
  job.gate = &a;
  job.gate_columns = a.inner % (2 * kGroup) == 0 ? 2 * kGroup : kGroup;
  gated.absorbed = true;
}

/// What the gate gives goes on to the linear operation behind it.
void fuse_gate_out(Prepared& linear, Prepared& next) {
  const QrGated& a = *linear.linear.gate;
  if (!same_rows(linear, next) || !takes_only_codes(next, a.out, a.inner)) return;
  if (linear.linear.gate_columns < columns_of_scale(next.linear)) return;
  linear.linear.feeds = &next.linear;
  next.fed = true;
}

void fuse_rope(Prepared& linear, Prepared& rope, const QrStep& step) {
  LinearJob& job = linear.linear;
  const QrRopeKv& a = args_of<QrRopeKv>(rope);
  if (reinterpret_cast<uint64_t>(job.out) != a.qkv || job.add || a.head_dim % kTileRows != 0 ||
      reinterpret_cast<uint64_t>(job.x) == a.q_out ||
      job.out_cols != (a.heads + 2 * a.kv_heads) * a.head_dim || (linear.op->flags & QR_ROWS_LOGITS) != 0) {
    return;
  }
  for (int p = 0; p < job.n_parts; p++) {
    if (job.parts[p].rows % a.head_dim != 0) return;
  }
  job.rope = &a;
  job.rope_flags = rope.op->flags;
  job.step = &step;
  rope.absorbed = true;
}

}  // namespace

int64_t quantised_bytes(const LinearJob& job) {
  const int64_t blocks = (job.rows + kRowBlock - 1) / kRowBlock;
  return round_up(blocks * group_slots(job.in_cols) * kRowBlock * (kGroup * 2 + 12 + 8 * 3 + 10), 64);
}

QuantisedRows place_quantised(const LinearJob& job, uint8_t* at) {
  const int64_t blocks = (job.rows + kRowBlock - 1) / kRowBlock;
  const int64_t rows = blocks * group_slots(job.in_cols) * kRowBlock;
  auto take = [&at](int64_t bytes) {
    uint8_t* taken = at;
    at += bytes;
    return taken;
  };
  QuantisedRows q = {};
  q.codes = reinterpret_cast<int8_t*>(take(rows * kGroup));
  q.low = job.high ? reinterpret_cast<int8_t*>(take(rows * kGroup)) : nullptr;
  q.factors = job.single ? reinterpret_cast<float*>(take(rows * 12)) : nullptr;
  q.pair_scales = job.paired ? reinterpret_cast<float*>(take(rows * 2)) : nullptr;
  q.pairs = job.paired ? reinterpret_cast<int32_t*>(take(rows * 8)) : nullptr;
  for (int p = 0; p < job.n_parts; p++) {
    const Format& f = *job.parts[p].format;
    const bool wanted = f.code_bits != 0 && !f.minima;
    q.starts[p] = wanted ? reinterpret_cast<int32_t*>(take(rows * 8)) : nullptr;
  }
  return q;
}

void split_linear(LinearJob& job, int threads) {
  const int columns = job.rope != nullptr ? job.rope->head_dim : job.gate != nullptr ? job.gate_columns : 2 * kTileRows;
  job.unit_tiles = columns / kTileRows;
  job.units = job.gate != nullptr ? job.gate->inner / columns : (job.tiles + job.unit_tiles - 1) / job.unit_tiles;
  // Items small enough to balance, large enough to be worth the counter; with few rows they are read from memory, which
  // likes long runs.
  job.rows_per_item = job.rows <= kManyRows + kManyRows / 2 ? job.rows : kManyRows;
  const int64_t row_items = (job.rows + job.rows_per_item - 1) / job.rows_per_item;
  const int64_t wanted =
      threads == 1 ? 1 : std::max<int64_t>(1, threads * (job.rows < kManyRows ? 4 : 32) / row_items);
  job.units_per_item = static_cast<int>((job.units + wanted - 1) / wanted);
  job.unit_items = (job.units + job.units_per_item - 1) / job.units_per_item;
  job.items = job.unit_items * row_items;
}

void fuse(Device& dev) {
  std::vector<Prepared>& list = dev.list;
  for (size_t i = 0; i + 1 < list.size(); i++) {
    Prepared &entry = list[i], &next = list[i + 1];
    if (is(entry, QR_OP_RMS_NORM)) {
      if (is(next, QR_OP_LINEAR)) fuse_norm(entry, next, dev.pool.threads());
    } else if (is(entry, QR_OP_ATTENTION)) {
      if (is(next, QR_OP_LINEAR)) fuse_attention(entry, next);
    } else if (is(entry, QR_OP_LINEAR) && entry.linear.rows > 0) {
      if (is(next, QR_OP_GATED)) fuse_gate(entry, next);
      if (is(next, QR_OP_ROPE_KV)) fuse_rope(entry, next, *dev.step);
      if (entry.linear.gate != nullptr && i + 2 < list.size()) fuse_gate_out(entry, list[i + 2]);
    }
  }
  for (Prepared& entry : list) {
    if (entry.op->opcode == QR_OP_LINEAR && entry.linear.rows > 0) split_linear(entry.linear, dev.pool.threads());
  }
}

}  // namespace quire
