// Checks of a list and its step, and everything that is sized before the workers start.
#include <algorithm>

#include "check.h"
#include "device.h"

namespace quire {
namespace {

struct Preparation {
  Device& dev;
  const QrStep& step;
  int64_t worker_bytes = 0, expert_bytes = 0;
};

int rows_of(const Preparation& prep, const QrOp& op) {
  return (op.flags & QR_ROWS_LOGITS) != 0 ? prep.step.n_logits : prep.step.n_tokens;
}

void prepare_linear(Preparation& prep, const QrOp& op, LinearJob& job) {
  const QrLinear& a = *reinterpret_cast<const QrLinear*>(op.args);
  job = linear_job(a.parts, a.n_parts, (op.flags & QR_HIGH_PRECISION) != 0);
  job.x = reinterpret_cast<const float*>(a.x);
  job.out = reinterpret_cast<float*>(a.out);
  job.bias = reinterpret_cast<const float*>(a.bias);
  job.rows = rows_of(prep, op);
  job.add = (op.flags & QR_ADD) != 0;
}

int prepare_attention(Preparation& prep, int index, const QrOp& op, AttentionJob& job) {
  const QrAttention& a = *reinterpret_cast<const QrAttention*>(op.args);
  const int status = check_positions(index, a.block_tokens, prep.step);
  if (status != QR_OK) return status;
  const int group = a.heads / a.kv_heads;
  int64_t longest = 0;
  for (int32_t b = 0; b < prep.step.n_seqs; b++) {
    for (int32_t t = prep.step.query_start[b]; t < prep.step.query_start[b + 1]; t++) {
      longest = std::max<int64_t>(longest, prep.step.position[t] + 1);
    }
  }
  const int32_t tiles = static_cast<int32_t>(prep.dev.tiles.size());
  int heads = std::min(group, kMaxHeadsPerItem);
  // With few items a kv head's query heads are spread over the threads; each row stays as it is.
  const int64_t wanted = prep.dev.pool.threads() == 1 ? 1 : prep.dev.pool.threads() * 3;
  while (heads > 1 && static_cast<int64_t>(tiles) * a.kv_heads * ((group + heads - 1) / heads) < wanted) {
    heads--;
  }
  const int splits = (group + heads - 1) / heads;
  job = {&a, &prep.step, prep.dev.tiles.data(), heads, splits, a.kv_heads * splits, prep.dev.pool.threads(),
         static_cast<int64_t>(tiles) * a.kv_heads * splits, nullptr};
  const int64_t rows = static_cast<int64_t>(kTileTokens) * heads + kMostScoreRows;
  prep.worker_bytes = std::max(
      prep.worker_bytes, 4 * (2 * (rows * a.head_dim + 32) + kCodePositions / 2 * a.head_dim + rows * score_stride(longest + 64)));
  return QR_OK;
}

int prepare_op(Preparation& prep, int index, const QrOp& op, Prepared& out) {
  const int status = check_operands(index, op);
  if (status != QR_OK) return status;
  out.op = &op;
  out.absorbed = out.fed = false;
  out.feeds = nullptr;
  out.norm = nullptr;
  switch (op.opcode) {
    case QR_OP_LINEAR: prepare_linear(prep, op, out.linear); return QR_OK;
    case QR_OP_EXPERTS: {
      prepare_experts(*reinterpret_cast<const QrExperts*>(op.args), op.flags, rows_of(prep, op), out.experts);
      prep.expert_bytes = std::max(prep.expert_bytes, experts_bytes(out.experts));
      prep.worker_bytes = std::max(prep.worker_bytes, 4 * linear_scratch_floats(out.experts.gate_up));
      return QR_OK;
    }
    case QR_OP_ATTENTION: return prepare_attention(prep, index, op, out.attention);
    case QR_OP_SWAP_BLOCKS: return check_swaps(index, *reinterpret_cast<const QrSwapBlocks*>(op.args), prep.step);
    case QR_OP_EMBED: return check_tokens(index, reinterpret_cast<const QrEmbed*>(op.args)->weight.rows, prep.step);
    case QR_OP_ROPE_KV: {
      const int32_t head_dim = reinterpret_cast<const QrRopeKv*>(op.args)->head_dim;
      prep.worker_bytes = std::max<int64_t>(prep.worker_bytes, 4ll * (2 * head_dim + 32));
      return QR_OK;
    }
    case QR_OP_SAMPLE: {
      const int32_t vocab = reinterpret_cast<const QrSample*>(op.args)->vocab;
      prep.worker_bytes = std::max(prep.worker_bytes, sample_scratch_bytes(vocab));
      return check_samples(index, vocab, prep.step);
    }
    case QR_OP_ALL_REDUCE:
    case QR_OP_ALL_GATHER: return check_collective(index, op, prep.dev.group == nullptr ? 0 : prep.dev.group->ranks());
    default: return QR_OK;
  }
}

void cut_tiles(Device& dev, const QrStep& step) {
  dev.tiles.clear();
  for (int32_t b = 0; b < step.n_seqs; b++) {
    const int32_t first = static_cast<int32_t>(dev.tiles.size());
    const int32_t count = (step.query_start[b + 1] - step.query_start[b] + kTileTokens - 1) / kTileTokens;
    for (int32_t t = step.query_start[b]; t < step.query_start[b + 1]; t += kTileTokens) {
      dev.tiles.push_back({b, t, std::min(kTileTokens, step.query_start[b + 1] - t), first, count});
    }
  }
}

}  // namespace

LinearJob linear_job(const QrWeight* parts, int n_parts, bool high) {
  LinearJob job = {};
  job.n_parts = n_parts;
  job.in_cols = parts[0].cols;
  job.high = high;
  for (int p = 0; p < n_parts; p++) {
    const QrWeight& w = parts[p];
    const Format* f = packed_format_of(w.type);
    job.parts[p] = {reinterpret_cast<const uint8_t*>(w.data), f,      tile_layout(*f, w.cols),
                    tile_count(w.rows),                        w.rows, job.out_cols};
    job.out_cols += static_cast<int>(w.rows);
    job.tiles += job.parts[p].tiles;
    job.quantised = job.quantised || f->code_bits != 0;
    job.paired = job.paired || f->code_bits == 4;
    job.single = job.single || f->code_bits == 8;
  }
  return job;
}

int prepare(Device& dev, const QrOp* ops, int32_t n, const QrStep* step) {
  int status = check_step(*step);
  if (status == QR_OK) status = check_carry(*step, 0);
  if (status != QR_OK) return status;
  cut_tiles(dev, *step);
  dev.step = step;
  dev.list.resize(static_cast<size_t>(n));
  Preparation prep = {dev, *step};
  for (int32_t i = 0; i < n && status == QR_OK; i++) {
    status = prepare_op(prep, i, ops[i], dev.list[static_cast<size_t>(i)]);
  }
  if (status == QR_OK) status = check_block_bytes(ops, n);
  if (status != QR_OK) return status;
  fuse(dev);
  int64_t quantised = 0;
  for (const Prepared& entry : dev.list) {
    if (entry.op->opcode != QR_OP_LINEAR || entry.linear.rows == 0) continue;
    const LinearJob& job = entry.linear;
    const int64_t copies = entry.norm != nullptr ? dev.pool.threads() : 1;
    if (job.quantised) quantised = std::max(quantised, copies * quantised_bytes(job));
    prep.worker_bytes = std::max(prep.worker_bytes, 4 * (linear_scratch_floats(job) + job.in_cols));
  }
  dev.quantised_area = round_up(quantised, 64);
  bool enough = dev.quantised.reserve(2 * dev.quantised_area) && dev.experts.reserve(prep.expert_bytes);
  for (int i = 0; i < dev.pool.threads(); i++) {
    enough = enough && dev.pool.worker(i).scratch.reserve(prep.worker_bytes);
  }
  if (!enough) return fail(QR_NO_MEMORY, "no memory for the scratch of %d tokens", step->n_tokens);
  int64_t area = 0;
  for (Prepared& entry : dev.list) {
    if (entry.op->opcode == QR_OP_EXPERTS) place_experts(entry.experts, dev.experts.data());
    if (entry.op->opcode != QR_OP_LINEAR || !entry.linear.quantised) continue;
    entry.linear.q = place_quantised(entry.linear, dev.quantised.data() + area);
    area = dev.quantised_area - area;
  }
  return QR_OK;
}

}  // namespace quire
