#include "program.h"

#include <algorithm>

#include "check.h"
#include "sample.h"
#include "status.h"
#include "weights.h"

namespace quire::cuda {
namespace {

constexpr int kMostHeadDim = 256;

size_t args_bytes(int32_t opcode) {
  switch (opcode) {
    case QR_OP_COPY_BLOCKS: return sizeof(QrCopyBlocks);
    case QR_OP_SWAP_BLOCKS: return sizeof(QrSwapBlocks);
    case QR_OP_EMBED: return sizeof(QrEmbed);
    case QR_OP_RMS_NORM: return sizeof(QrRmsNorm);
    case QR_OP_LINEAR: return sizeof(QrLinear);
    case QR_OP_ROPE_KV: return sizeof(QrRopeKv);
    case QR_OP_ATTENTION: return sizeof(QrAttention);
    case QR_OP_GATED: return sizeof(QrGated);
    case QR_OP_EXPERTS: return sizeof(QrExperts);
    case QR_OP_GATHER_ROWS: return sizeof(QrGatherRows);
    case QR_OP_ALL_REDUCE: return sizeof(QrAllReduce);
    case QR_OP_ALL_GATHER: return sizeof(QrAllGather);
    default: return sizeof(QrSample);
  }
}

int unsupported(int index, const char* what, long long seen, const char* allowed) {
  return fail(QR_UNSUPPORTED, "operation %d: %s is %lld; CUDA takes %s", index, what, seen, allowed);
}

int in_vectors(int index, const char* what, int32_t cols) {
  return cols % kVector == 0 ? QR_OK : unsupported(index, what, cols, "multiples of 8");
}

/// What is the same for ROPE_KV and ATTENTION.
template <class Args>
int check_cache(int index, const Args& a) {
  if (a.kv_type == QR_F32) return unsupported(index, "kv_type", a.kv_type, "a cache of BF16 (30), INT8 (24) or FP8 (101)");
  if ((a.block_tokens & (a.block_tokens - 1)) != 0) return unsupported(index, "block_tokens", a.block_tokens, "powers of two");
  if (a.head_dim % 8 != 0 || a.head_dim > kMostHeadDim) return unsupported(index, "head_dim", a.head_dim, "multiples of 8 up to 256");
  return QR_OK;
}

int check_experts(int index, const QrExperts& a) {
  if (a.gate.cols % kTileColumns != 0) return unsupported(index, "cols", a.gate.cols, "multiples of 64");
  if (a.down.cols % kTileColumns != 0) return unsupported(index, "inner", a.down.cols, "multiples of 64");
  return QR_OK;
}

int check_supported(int index, const Operation& op) {
  const OpArgs& a = op.args;
  switch (op.opcode) {
    case QR_OP_COPY_BLOCKS:
      return a.copy_blocks.block_bytes % 16 == 0
                 ? QR_OK
                 : unsupported(index, "block_bytes", static_cast<long long>(a.copy_blocks.block_bytes), "multiples of 16");
    case QR_OP_SWAP_BLOCKS:
      return a.swap_blocks.block_bytes % 16 == 0 && a.swap_blocks.region_bytes % 16 == 0
                 ? QR_OK
                 : unsupported(index, "block_bytes", static_cast<long long>(a.swap_blocks.block_bytes), "multiples of 16, as region_bytes");
    case QR_OP_EMBED: return in_vectors(index, "cols", a.embed.weight.cols);
    case QR_OP_RMS_NORM:
      return in_vectors(index, "cols", a.rms_norm.cols);
    case QR_OP_ROPE_KV:
      if (a.rope_kv.rotary_dim % 4 != 0) return unsupported(index, "rotary_dim", a.rope_kv.rotary_dim, "multiples of 4");
      return check_cache(index, a.rope_kv);
    case QR_OP_ATTENTION: return check_cache(index, a.attention);
    case QR_OP_GATED: return in_vectors(index, "inner", a.gated.inner);
    case QR_OP_EXPERTS: return check_experts(index, a.experts);
    case QR_OP_GATHER_ROWS: return in_vectors(index, "cols", a.gather_rows.cols);
    case QR_OP_SAMPLE: return a.sample.vocab <= kMostVocab ? QR_OK : unsupported(index, "vocab", a.sample.vocab, "up to 2097152");
    default: return QR_OK;
  }
}

}  // namespace

bool AttentionShape::tiled() const {
  return attention_supports(heads, kv_heads, head_dim) && heads / kv_heads <= kDecodeRows;
}

bool Program::is(const QrOp* ops, int32_t n) const {
  if (static_cast<size_t>(n) != operations_.size()) return false;
  for (int32_t i = 0; i < n; i++) {
    const Operation& mine = operations_[static_cast<size_t>(i)];
    if (ops[i].opcode != mine.opcode || ops[i].flags != mine.flags || ops[i].args == 0 ||
        memcmp(reinterpret_cast<const void*>(ops[i].args), &mine.args, args_bytes(mine.opcode)) != 0) {
      return false;
    }
  }
  return true;
}

int Program::add(int index, const QrOp& op, int ranks) {
  int status = check_operands(index, op);
  if (status == QR_OK && (op.opcode == QR_OP_ALL_REDUCE || op.opcode == QR_OP_ALL_GATHER)) {
    status = check_collective(index, op, ranks);
  }
  if (status != QR_OK) return status;
  Operation copy = {op.opcode, op.flags, -1, {}};
  memcpy(&copy.args, reinterpret_cast<const void*>(op.args), args_bytes(op.opcode));
  status = check_supported(index, copy);
  if (status != QR_OK) return status;
  if (op.opcode == QR_OP_ATTENTION) {
    const QrAttention& a = copy.args.attention;
    const AttentionShape shape = {a.heads, a.kv_heads, a.head_dim, a.window};
    const auto known = std::find(shapes_.begin(), shapes_.end(), shape);
    copy.plan = static_cast<int32_t>(known - shapes_.begin());
    if (known == shapes_.end()) shapes_.push_back(shape);
    if (block_tokens_ != 0 && block_tokens_ != a.block_tokens) return unsupported(index, "block_tokens", a.block_tokens, "one size");
    block_tokens_ = a.block_tokens;
  }
  if (op.opcode == QR_OP_EMBED) vocab_ = static_cast<int32_t>(std::min<int64_t>(vocab_, copy.args.embed.weight.rows));
  if (op.opcode == QR_OP_EXPERTS) logits_.insert(copy.args.experts.logits);
  if (op.opcode == QR_OP_SAMPLE) {
    if (sample_ >= 0) return fail(QR_UNSUPPORTED, "operation %d: a second SAMPLE in one list", index);
    sample_ = index;
    logits_.insert(copy.args.sample.logits);
  }
  if (op.opcode == QR_OP_ALL_GATHER) logits_.insert(copy.args.all_gather.x);
  operations_.push_back(copy);
  return QR_OK;
}

int Program::compile(const QrOp* ops, int32_t n, int ranks) {
  *this = Program();
  int status = QR_OK;
  for (int32_t i = 0; i < n && status == QR_OK; i++) status = add(i, ops[i], ranks);
  if (status == QR_OK) status = check_block_bytes(ops, n);
  if (status != QR_OK) *this = Program();
  return status;
}

int Program::check(const QrStep& step) const {
  int status = check_step(step);
  if (status == QR_OK && block_tokens_ != 0) status = check_positions(0, block_tokens_, step);
  for (size_t i = 0; i < operations_.size() && status == QR_OK; i++) {
    const int index = static_cast<int>(i);
    if (operations_[i].opcode == QR_OP_EMBED) status = check_tokens(index, operations_[i].args.embed.weight.rows, step);
    if (operations_[i].opcode == QR_OP_SWAP_BLOCKS) status = check_swaps(index, operations_[i].args.swap_blocks, step);
    if (operations_[i].opcode == QR_OP_SAMPLE) status = check_samples(index, operations_[i].args.sample.vocab, step);
  }
  return status;
}

}  // namespace quire::cuda
