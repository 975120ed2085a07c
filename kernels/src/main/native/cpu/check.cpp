// Checks of a list and of its step that hold on any device.
#include "check.h"

#include "error.h"
#include "layout.h"

namespace quire {
namespace {

int bad(int index, const char* what) { return fail(QR_INVALID, "operation %d: %s", index, what); }

int check_counts(const QrStep& s) {
  if (s.size != static_cast<int32_t>(sizeof(QrStep))) {
    return fail(QR_INVALID, "step: size is %d, expected %d", s.size, static_cast<int>(sizeof(QrStep)));
  }
  if (s.n_tokens < 0 || s.n_seqs < 0 || s.n_logits < 0 || s.n_samples < 0 || s.n_copies < 0 ||
      s.table_stride < 0 || s.n_swaps_out < 0 || s.n_swaps_in < 0 || s.n_carried < 0) {
    return fail(QR_INVALID, "step: negative count");
  }
  const bool arrays =
      (s.n_tokens == 0 || (s.token && s.position && s.slot)) &&
      (s.n_seqs == 0 || (s.query_start && s.block_table)) && (s.n_logits == 0 || s.logits_row) &&
      (s.n_copies == 0 || s.copies) && (s.n_carried == 0 || s.carry) &&
      (s.n_swaps_out == 0 || s.swaps_out) && (s.n_swaps_in == 0 || s.swaps_in) &&
      (s.n_samples == 0 ||
       (s.samples && s.out_token && s.out_logprob && s.out_top_token && s.out_top_logprob));
  return arrays ? QR_OK : fail(QR_INVALID, "step: an array is missing");
}

bool valid_weight(const QrWeight& w) {
  const Format* f = format_of(w.type);
  return f != nullptr && w.data != 0 && w.rows > 0 && w.rows < (1ll << 31) && w.cols > 0 &&
         w.cols % f->block_cols == 0;
}

bool valid_cache(int32_t type, int32_t head_dim) {
  const bool codes = type == QR_KV_INT8 || type == QR_KV_FP8;  // of 512 products of int8 and int16 sums fit in 32 bits
  return type == QR_F32 || (type == QR_BF16 && head_dim % 2 == 0) || (codes && head_dim % 4 == 0 && head_dim <= 512);
}

template <class Args>
const Args& args_of(const QrOp& op) {
  return *reinterpret_cast<const Args*>(op.args);
}

int check_linear(int index, const QrLinear& a) {
  if (a.n_parts < 1 || a.n_parts > 3 || a.in_cols < 1 || a.out_cols < 1 || !a.x || !a.out) {
    return bad(index, "linear: bad operand");
  }
  int64_t rows = 0;
  for (int p = 0; p < a.n_parts; p++) {
    if (!valid_weight(a.parts[p]) || a.parts[p].cols != a.in_cols) return bad(index, "linear: bad weight");
    rows += a.parts[p].rows;
  }
  return rows == a.out_cols ? QR_OK : bad(index, "linear: out_cols is not the sum of the parts' rows");
}

int check_attention(int index, const QrAttention& a) {
  const bool fine = a.q && a.out && a.k_cache && a.v_cache && a.heads >= 1 && a.kv_heads >= 1 && a.head_dim >= 1 &&
                    a.heads % a.kv_heads == 0 && a.block_tokens >= 16 && a.block_tokens % 16 == 0 && a.window >= 0 &&
                    valid_cache(a.kv_type, a.head_dim) && a.scale > 0;
  return fine ? QR_OK : bad(index, "attention: bad operand");
}

int check_rope(int index, const QrRopeKv& a) {
  const bool fine = a.qkv && a.q_out && a.cos_sin && a.k_cache && a.v_cache && a.heads >= 1 && a.kv_heads >= 1 &&
                    a.head_dim >= 1 && a.rotary_dim >= 0 && a.rotary_dim % 2 == 0 && a.rotary_dim <= a.head_dim &&
                    a.block_tokens >= 16 && a.block_tokens % 16 == 0 && valid_cache(a.kv_type, a.head_dim);
  return fine ? QR_OK : bad(index, "rope_kv: bad operand");
}

int check_gated(int index, const QrGated& a) {
  const bool known = a.activation == QR_SILU || a.activation == QR_GELU_TANH;
  return a.gate_up && a.out && a.inner > 0 && known ? QR_OK : bad(index, "gated: bad operand");
}

int check_experts(int index, const QrExperts& a) {
  const bool known = a.activation == QR_SILU || a.activation == QR_GELU_TANH;
  const int64_t cols = a.gate.cols, inner = a.down.cols;
  const bool operands = a.sum && a.x && a.logits && known && valid_weight(a.gate) && valid_weight(a.up) && valid_weight(a.down);
  if (!operands || a.experts < 1 || a.chosen < 1 || a.chosen > a.experts) return bad(index, "experts: bad operand");
  if (cols % kGroup != 0 || inner % kGroup != 0) return bad(index, "experts: cols and inner are no multiples of 32");
  const bool fit = a.up.cols == cols && a.gate.rows == a.experts * inner && a.up.rows == a.gate.rows && a.down.rows == a.experts * cols;
  return fit ? QR_OK : bad(index, "experts: the weights do not fit each other");
}

bool fine(const QrCopyBlocks& a) { return a.base && a.regions > 0 && a.block_bytes > 0; }
bool fine(const QrSwapBlocks& a) {
  return a.base && a.host && a.regions > 0 && a.host_blocks > 0 && a.block_bytes > 0 && a.region_bytes >= a.block_bytes;
}
bool fine(const QrEmbed& a) { return a.out && valid_weight(a.weight); }
bool fine(const QrRmsNorm& a) { return a.x && a.out && a.weight && a.cols > 0; }
bool fine(const QrGatherRows& a) { return a.x && a.out && a.cols > 0; }
bool fine(const QrSample& a) { return a.logits && a.vocab > 0; }
bool fine(const QrAllReduce& a) { return a.x && a.cols > 0; }
bool fine(const QrAllGather& a) { return a.x && a.x != a.out && a.cols > 0 && a.out_cols > 0; }

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

}  // namespace

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

int check_operands(int index, const QrOp& op) {
  if (op.args == 0) return bad(index, "no arguments");
  switch (op.opcode) {
    case QR_OP_COPY_BLOCKS: return fine(args_of<QrCopyBlocks>(op)) ? QR_OK : bad(index, "copy_blocks: bad operand");
    case QR_OP_SWAP_BLOCKS: return fine(args_of<QrSwapBlocks>(op)) ? QR_OK : bad(index, "swap_blocks: bad operand");
    case QR_OP_EMBED: return fine(args_of<QrEmbed>(op)) ? QR_OK : bad(index, "embed: bad operand");
    case QR_OP_RMS_NORM: return fine(args_of<QrRmsNorm>(op)) ? QR_OK : bad(index, "rms_norm: bad operand");
    case QR_OP_LINEAR: return check_linear(index, args_of<QrLinear>(op));
    case QR_OP_ROPE_KV: return check_rope(index, args_of<QrRopeKv>(op));
    case QR_OP_ATTENTION: return check_attention(index, args_of<QrAttention>(op));
    case QR_OP_GATED: return check_gated(index, args_of<QrGated>(op));
    case QR_OP_GATHER_ROWS: return fine(args_of<QrGatherRows>(op)) ? QR_OK : bad(index, "gather_rows: bad operand");
    case QR_OP_SAMPLE: return fine(args_of<QrSample>(op)) ? QR_OK : bad(index, "sample: bad operand");
    case QR_OP_ALL_REDUCE: return fine(args_of<QrAllReduce>(op)) ? QR_OK : bad(index, "all_reduce: bad operand");
    case QR_OP_ALL_GATHER: return fine(args_of<QrAllGather>(op)) ? QR_OK : bad(index, "all_gather: bad operand");
    case QR_OP_EXPERTS: return check_experts(index, args_of<QrExperts>(op));
    default: return fail(QR_INVALID, "operation %d: unknown opcode %d", index, op.opcode);
  }
}

int check_block_bytes(const QrOp* ops, int32_t n) {
  uint64_t copied = 0;
  for (int32_t i = 0; i < n; i++) {
    if (ops[i].opcode == QR_OP_COPY_BLOCKS) copied = args_of<QrCopyBlocks>(ops[i]).block_bytes;
    if (ops[i].opcode != QR_OP_ROPE_KV || copied == 0) continue;
    const QrRopeKv& a = args_of<QrRopeKv>(ops[i]);
    const uint64_t block = static_cast<uint64_t>(a.kv_heads * kv_head_bytes(a.kv_type, a.head_dim, a.block_tokens));
    if (block != copied) {
      return fail(QR_INVALID, "operation %d: rope_kv: a block has %llu bytes, copy_blocks copies %llu", i,
                  static_cast<unsigned long long>(block), static_cast<unsigned long long>(copied));
    }
  }
  return QR_OK;
}

int check_tokens(int index, int64_t vocab, const QrStep& s) {
  for (int32_t t = 0; t < s.n_tokens; t++) {
    if (s.token[t] < 0 || s.token[t] >= vocab) {
      return fail(QR_INVALID, "operation %d: embed: token %d is %d of %lld", index, t, s.token[t],
                  static_cast<long long>(vocab));
    }
  }
  return QR_OK;
}

int check_positions(int index, int32_t block_tokens, const QrStep& s) {
  for (int32_t b = 0; b < s.n_seqs; b++) {
    for (int32_t t = s.query_start[b]; t < s.query_start[b + 1]; t++) {
      if (s.position[t] / block_tokens >= s.table_stride) {
        return fail(QR_INVALID, "operation %d: attention: position %d is beyond the block table", index, s.position[t]);
      }
      if (t > s.query_start[b] && s.position[t] != s.position[t - 1] + 1) {
        return fail(QR_INVALID, "operation %d: attention: position %d of sequence %d follows %d", index, s.position[t], b,
                    s.position[t - 1]);
      }
    }
  }
  return QR_OK;
}

int check_collective(int index, const QrOp& op, int ranks) {
  if (ranks == 0) return bad(index, "a collective on a device that is no rank of a group");
  if (op.opcode == QR_OP_ALL_REDUCE) return QR_OK;
  const QrAllGather& a = args_of<QrAllGather>(op);
  return static_cast<int64_t>(a.cols) * ranks >= a.out_cols ? QR_OK : bad(index, "all_gather: out_cols are more than the ranks have");
}

int check_swaps(int index, const QrSwapBlocks& a, const QrStep& s) {
  const int64_t device_blocks = static_cast<int64_t>(a.region_bytes / a.block_bytes);
  const auto within = [&](const int32_t* pairs, int32_t n, int64_t first, int64_t second) {
    for (int32_t i = 0; i < n; i++) {
      if (pairs[2 * i] < 0 || pairs[2 * i] >= first || pairs[2 * i + 1] < 0 || pairs[2 * i + 1] >= second) {
        return fail(QR_INVALID, "operation %d: swap_blocks: pair %d is (%d, %d) of (%lld, %lld) blocks", index, i, pairs[2 * i],
                    pairs[2 * i + 1], static_cast<long long>(first), static_cast<long long>(second));
      }
    }
    return static_cast<int>(QR_OK);
  };
  const int status = within(s.swaps_out, s.n_swaps_out, device_blocks, a.host_blocks);
  return status == QR_OK ? within(s.swaps_in, s.n_swaps_in, a.host_blocks, device_blocks) : status;
}

int check_carry(const QrStep& s, int32_t drawn) {
  for (int32_t t = 0; t < s.n_tokens && s.n_carried > 0; t++) {
    if (s.carry[t] < -1 || s.carry[t] >= drawn) {
      return fail(QR_INVALID, "step: token %d is that of sample %d, of %d", t, s.carry[t], drawn);
    }
  }
  return QR_OK;
}

int check_samples(int index, int32_t vocab, const QrStep& s) {
  int status = QR_OK;
  for (int32_t i = 0; i < s.n_samples && status == QR_OK; i++) status = check_sample_row(s, index, i, vocab);
  return status;
}

}  // namespace quire
