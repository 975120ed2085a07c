// Checks of a list and its step, and everything that is sized before the workers start.
#include <algorithm>

#include "device.h"

namespace quire {
namespace {

/// Query tokens per attention item.
constexpr int kTileTokens = 16;
constexpr int kMaxHeadsPerItem = 4;

struct Preparation {
  Device& dev;
  const QrStep& step;
  int64_t worker_bytes = 0;
};

int bad(int index, const char* what) { return fail(QR_INVALID, "operation %d: %s", index, what); }

int check_counts(const QrStep& s) {
  if (s.size != static_cast<int32_t>(sizeof(QrStep))) {
    return fail(QR_INVALID, "step: size is %d, expected %d", s.size, static_cast<int>(sizeof(QrStep)));
  }
  if (s.n_tokens < 0 || s.n_seqs < 0 || s.n_logits < 0 || s.n_samples < 0 || s.n_copies < 0 ||
      s.table_stride < 0) {
    return fail(QR_INVALID, "step: negative count");
  }
  const bool arrays =
      (s.n_tokens == 0 || (s.token && s.position && s.slot)) &&
      (s.n_seqs == 0 || (s.query_start && s.block_table)) && (s.n_logits == 0 || s.logits_row) &&
      (s.n_copies == 0 || s.copies) &&
      (s.n_samples == 0 ||
       (s.samples && s.out_token && s.out_logprob && s.out_top_token && s.out_top_logprob));
  return arrays ? QR_OK : fail(QR_INVALID, "step: an array is missing");
}

int check_step(const QrStep& s) {
  const int status = check_counts(s);
  if (status != QR_OK) return status;
  for (int32_t t = 0; t < s.n_tokens; t++) {
    if (s.position[t] < 0) return fail(QR_INVALID, "step: token %d has position %d", t, s.position[t]);
  }
  for (int32_t b = 0; b < s.n_seqs; b++) {
    if (s.query_start[b] < 0 || s.query_start[b] > s.query_start[b + 1] ||
        s.query_start[b + 1] > s.n_tokens) {
      return fail(QR_INVALID, "step: query_start[%d..] is [%d, %d) of %d tokens", b, s.query_start[b],
                  s.query_start[b + 1], s.n_tokens);
    }
  }
  for (int32_t r = 0; r < s.n_logits; r++) {
    if (s.logits_row[r] < 0 || s.logits_row[r] >= s.n_tokens) {
      return fail(QR_INVALID, "step: logits_row[%d] is %d of %d tokens", r, s.logits_row[r], s.n_tokens);
    }
  }
  return QR_OK;
}

bool valid_weight(const QrWeight& w) {
  const Format* f = format_of(w.type);
  return f != nullptr && w.data != 0 && w.rows > 0 && w.rows < (1ll << 31) && w.cols > 0 &&
         w.cols % f->block_cols == 0;
}

int prepare_linear(Preparation& prep, int index, const QrOp& op, LinearJob& job) {
  const QrLinear& a = *reinterpret_cast<const QrLinear*>(op.args);
  if (a.n_parts < 1 || a.n_parts > 3 || a.in_cols < 1 || a.out_cols < 1 || !a.x || !a.out) {
    return bad(index, "linear: bad operand");
  }
  job = {};
  job.x = reinterpret_cast<const float*>(a.x);
  job.out = reinterpret_cast<float*>(a.out);
  job.bias = reinterpret_cast<const float*>(a.bias);
  job.n_parts = a.n_parts;
  job.rows = (op.flags & QR_ROWS_LOGITS) != 0 ? prep.step.n_logits : prep.step.n_tokens;
  job.in_cols = a.in_cols;
  job.out_cols = a.out_cols;
  job.add = (op.flags & QR_ADD) != 0;
  job.high = (op.flags & QR_HIGH_PRECISION) != 0;
  int64_t column = 0;
  for (int p = 0; p < a.n_parts; p++) {
    const QrWeight& w = a.parts[p];
    if (!valid_weight(w) || w.cols != a.in_cols) return bad(index, "linear: bad weight");
    const Format* f = format_of(w.type);
    job.parts[p] = {reinterpret_cast<const uint8_t*>(w.data), f,      tile_layout(*f, w.cols),
                    tile_count(w.rows),                        w.rows, static_cast<int>(column)};
    column += w.rows;
    job.tiles += job.parts[p].tiles;
    job.quantised = job.quantised || f->code_bits != 0;
    job.paired = job.paired || f->code_bits == 4;
    job.single = job.single || f->code_bits == 8;
  }
  if (column != a.out_cols) return bad(index, "linear: out_cols is not the sum of the parts' rows");
  return QR_OK;
}

bool valid_cache(int32_t type, int32_t head_dim) {
  return type == QR_F32 || (type == QR_BF16 && head_dim % 2 == 0);
}

int prepare_attention(Preparation& prep, int index, const QrOp& op, AttentionJob& job) {
  const QrAttention& a = *reinterpret_cast<const QrAttention*>(op.args);
  if (!a.q || !a.out || !a.k_cache || !a.v_cache || a.heads < 1 || a.kv_heads < 1 || a.head_dim < 1 ||
      a.heads % a.kv_heads != 0 || a.block_tokens < 16 || a.block_tokens % 16 != 0 || a.window < 0 ||
      !valid_cache(a.kv_type, a.head_dim) || !(a.scale > 0)) {
    return bad(index, "attention: bad operand");
  }
  const int group = a.heads / a.kv_heads;
  int64_t longest = 0;
  for (int32_t b = 0; b < prep.step.n_seqs; b++) {
    for (int32_t t = prep.step.query_start[b]; t < prep.step.query_start[b + 1]; t++) {
      const int64_t position = prep.step.position[t];
      if (position / a.block_tokens >= prep.step.table_stride) {
        return fail(QR_INVALID, "operation %d: attention: position %d is beyond the block table", index,
                    prep.step.position[t]);
      }
      longest = std::max(longest, position + 1);
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
      prep.worker_bytes, 4 * (2 * (rows * a.head_dim + 32) + rows * score_stride(longest + 32)));
  return QR_OK;
}

int check_small(const Preparation& prep, int index, const QrOp& op) {
  switch (op.opcode) {
    case QR_OP_COPY_BLOCKS: {
      const QrCopyBlocks& a = *reinterpret_cast<const QrCopyBlocks*>(op.args);
      return a.base && a.regions > 0 && a.block_bytes > 0 ? QR_OK : bad(index, "copy_blocks: bad operand");
    }
    case QR_OP_EMBED: {
      const QrEmbed& a = *reinterpret_cast<const QrEmbed*>(op.args);
      if (!a.out || !valid_weight(a.weight)) return bad(index, "embed: bad operand");
      for (int32_t t = 0; t < prep.step.n_tokens; t++) {
        if (prep.step.token[t] < 0 || prep.step.token[t] >= a.weight.rows) {
          return fail(QR_INVALID, "operation %d: embed: token %d is %d of %lld", index, t,
                      prep.step.token[t], static_cast<long long>(a.weight.rows));
        }
      }
      return QR_OK;
    }
    case QR_OP_RMS_NORM: {
      const QrRmsNorm& a = *reinterpret_cast<const QrRmsNorm*>(op.args);
      return a.x && a.out && a.weight && a.cols > 0 ? QR_OK : bad(index, "rms_norm: bad operand");
    }
    case QR_OP_GATED: {
      const QrGated& a = *reinterpret_cast<const QrGated*>(op.args);
      const bool known = a.activation == QR_SILU || a.activation == QR_GELU_TANH;
      return a.gate_up && a.out && a.inner > 0 && known ? QR_OK : bad(index, "gated: bad operand");
    }
    default: {
      const QrGatherRows& a = *reinterpret_cast<const QrGatherRows*>(op.args);
      return a.x && a.out && a.cols > 0 ? QR_OK : bad(index, "gather_rows: bad operand");
    }
  }
}

int prepare_rope(Preparation& prep, int index, const QrOp& op) {
  const QrRopeKv& a = *reinterpret_cast<const QrRopeKv*>(op.args);
  if (!a.qkv || !a.q_out || !a.cos_sin || !a.k_cache || !a.v_cache || a.heads < 1 || a.kv_heads < 1 ||
      a.head_dim < 1 || a.rotary_dim < 0 || a.rotary_dim % 2 != 0 || a.rotary_dim > a.head_dim ||
      a.block_tokens < 16 || a.block_tokens % 16 != 0 || !valid_cache(a.kv_type, a.head_dim)) {
    return bad(index, "rope_kv: bad operand");
  }
  prep.worker_bytes = std::max<int64_t>(prep.worker_bytes, 4ll * (2 * a.head_dim + 32));
  return QR_OK;
}

int check_sample_row(const QrStep& s, int index, int32_t i, int32_t vocab) {
  const QrSampleRow& r = s.samples[i];
  const bool ranges = r.bias_begin >= 0 && r.bias_begin <= r.bias_end && r.count_begin >= 0 &&
                      r.count_begin <= r.count_end;
  const bool arrays = (r.bias_begin == r.bias_end || (s.bias_token && s.bias_value)) &&
                      (r.count_begin == r.count_end || (s.count_token && s.count_output));
  if (r.row < 0 || r.row >= s.n_logits || r.target >= vocab || r.logprobs > QR_MAX_LOGPROBS || !ranges ||
      !arrays) {
    return fail(QR_INVALID, "operation %d: sample: sample %d has a bad field", index, i);
  }
  return QR_OK;
}

int prepare_sample(Preparation& prep, int index, const QrOp& op) {
  const QrSample& a = *reinterpret_cast<const QrSample*>(op.args);
  if (!a.logits || a.vocab < 1) return bad(index, "sample: bad operand");
  for (int32_t i = 0; i < prep.step.n_samples; i++) {
    const int status = check_sample_row(prep.step, index, i, a.vocab);
    if (status != QR_OK) return status;
  }
  prep.worker_bytes = std::max(prep.worker_bytes, sample_scratch_bytes(a.vocab));
  return QR_OK;
}

int prepare_op(Preparation& prep, int index, const QrOp& op, Prepared& out) {
  if (op.args == 0) return bad(index, "no arguments");
  out.op = &op;
  out.absorbed = out.fed = false;
  out.feeds = nullptr;
  out.norm = nullptr;
  switch (op.opcode) {
    case QR_OP_LINEAR: return prepare_linear(prep, index, op, out.linear);
    case QR_OP_ATTENTION: return prepare_attention(prep, index, op, out.attention);
    case QR_OP_ROPE_KV: return prepare_rope(prep, index, op);
    case QR_OP_SAMPLE: return prepare_sample(prep, index, op);
    default: break;
  }
  if (op.opcode < QR_OP_COPY_BLOCKS || op.opcode > QR_OP_SAMPLE) {
    return fail(QR_INVALID, "operation %d: unknown opcode %d", index, op.opcode);
  }
  return check_small(prep, index, op);
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

int prepare(Device& dev, const QrOp* ops, int32_t n, const QrStep* step) {
  int status = check_step(*step);
  if (status != QR_OK) return status;
  cut_tiles(dev, *step);
  dev.step = step;
  dev.list.resize(static_cast<size_t>(n));
  Preparation prep = {dev, *step};
  for (int32_t i = 0; i < n && status == QR_OK; i++) {
    status = prepare_op(prep, i, ops[i], dev.list[static_cast<size_t>(i)]);
  }
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
  bool enough = dev.quantised.reserve(2 * dev.quantised_area);
  for (int i = 0; i < dev.pool.threads(); i++) {
    enough = enough && dev.pool.worker(i).scratch.reserve(prep.worker_bytes);
  }
  if (!enough) return fail(QR_NO_MEMORY, "no memory for the scratch of %d tokens", step->n_tokens);
  int64_t area = 0;
  for (Prepared& entry : dev.list) {
    if (entry.op->opcode != QR_OP_LINEAR || !entry.linear.quantised) continue;
    entry.linear.q = place_quantised(entry.linear, dev.quantised.data() + area);
    area = dev.quantised_area - area;
  }
  return QR_OK;
}

}  // namespace quire
