#include "run.h"

#include <algorithm>

#include "experts.h"
#include "rows.h"
#include "sample.h"
#include "weights.h"

namespace quire::cuda {
namespace {

template <class T>
T* at(uint64_t address) {
  return reinterpret_cast<T*>(address);
}

KvKind kind_of(int32_t kv_type) {
  switch (kv_type) {
    case QR_KV_INT8: return KvKind::kInt8;
    case QR_KV_FP8: return KvKind::kFp8;
    default: return KvKind::kBf16;
  }
}

int log2_of(int32_t power) {
  int shift = 0;
  while (1 << shift < power) shift++;
  return shift;
}

struct Run {
  const Program& program;
  const StepArrays& step;
  const Workspace& workspace;
  CublasLt& lt;
  const std::set<uint64_t>& row_scaled;
  const Rank& rank;
  cudaStream_t stream;

  int rows(const Operation& op) const { return (op.flags & QR_ROWS_LOGITS) != 0 ? step.logits : step.tokens; }
};

cudaError_t run_copies(const Run& run, const QrCopyBlocks& a) {
  const int all = run.step.copies, at_once = run.step.chained ? 1 : all;
  cudaError_t status = cudaSuccess;
  for (int i = 0; i < all && status == cudaSuccess; i += at_once) {
    status = copy_blocks(at<void>(a.base), run.step.pairs + 2 * i, at_once, static_cast<int64_t>(a.region_bytes),
                         static_cast<int64_t>(a.block_bytes), a.regions, run.stream);
  }
  return status;
}

cudaError_t run_swaps(const Run& run, const QrSwapBlocks& a) {
  SwapArgs args = {at<uint8_t>(a.base), at<uint8_t>(a.host), run.step.pairs_out, static_cast<int64_t>(a.region_bytes),
                   static_cast<int64_t>(a.block_bytes), a.regions, run.step.swaps_out, true};
  const cudaError_t status = args.n == 0 ? cudaSuccess : swap_blocks(args, run.stream);
  args.pairs = run.step.pairs_in;
  args.n = run.step.swaps_in;
  args.out = false;
  return status != cudaSuccess || args.n == 0 ? status : swap_blocks(args, run.stream);
}

cudaError_t run_embed(const Run& run, const QrEmbed& a) {
  const EmbedArgs args = {at<void>(a.weight.data), weight_format(a.weight), at<bf16>(a.out), run.step.token,
                          run.step.tokens, a.weight.cols, a.scale};
  return embed(args, run.stream);
}

/// The parts one after the other, each into its columns of out.
cudaError_t run_linear(const Run& run, const Operation& op) {
  const QrLinear& a = op.args.linear;
  const bool wide = run.program.logits(a.out);
  int64_t column = 0;
  cudaError_t status = cudaSuccess;
  for (int p = 0; p < a.n_parts && status == cudaSuccess; p++) {
    const QrWeight& w = a.parts[p];
    GemmArgs args = {};
    args.x = at<bf16>(a.x);
    args.weight = at<void>(w.data);
    args.out = wide ? static_cast<void*>(at<float>(a.out) + column) : static_cast<void*>(at<bf16>(a.out) + column);
    args.bias = a.bias == 0 ? nullptr : at<float>(a.bias) + column;
    args.rows = run.rows(op);
    args.n = static_cast<int32_t>(w.rows);
    args.k = a.in_cols;
    args.stride = a.out_cols;
    args.add = (op.flags & QR_ADD) != 0;
    args.out_float = wide;
    args.slices = run.workspace.slices.at<float>();
    args.dense = run.workspace.dense.at<uint8_t>();
    args.codes = run.workspace.codes.at<uint8_t>();
    args.float8 = (op.flags & QR_HIGH_PRECISION) == 0 && run.row_scaled.contains(w.data);
    status = product(run.lt, weight_format(w), args, run.stream);
    column += w.rows;
  }
  return status;
}

cudaError_t run_norm(const Run& run, const Operation& op) {
  const QrRmsNorm& a = op.args.rms_norm;
  return rms_norm({at<bf16>(a.x), nullptr, at<float>(a.weight), at<bf16>(a.out), run.rows(op), a.cols, a.eps}, run.stream);
}

cudaError_t run_rope(const Run& run, const Operation& op) {
  const QrRopeKv& a = op.args.rope_kv;
  RopeArgs args = {};
  args.qkv = at<bf16>(a.qkv);
  args.q_out = at<bf16>(a.q_out);
  args.q_norm = at<float>(a.q_norm);
  args.k_norm = at<float>(a.k_norm);
  args.cos_sin = at<float>(a.cos_sin);
  args.k_cache = at<void>(a.k_cache);
  args.v_cache = at<void>(a.v_cache);
  args.position = run.step.position;
  args.slot = run.step.slot;
  args.tokens = run.step.tokens;
  args.heads = a.heads;
  args.kv_heads = a.kv_heads;
  args.head_dim = a.head_dim;
  args.rotary_dim = a.rotary_dim;
  args.block_shift = log2_of(a.block_tokens);
  args.interleaved = (op.flags & QR_INTERLEAVED) != 0;
  args.eps = a.eps;
  args.kv = kind_of(a.kv_type);
  return rope_kv(args, run.stream);
}

cudaError_t run_attention(const Run& run, const Operation& op) {
  const QrAttention& a = op.args.attention;
  const StepPlan& plan = run.step.plans[static_cast<size_t>(op.plan)];
  AttentionArgs args = {};
  args.q = at<bf16>(a.q);
  args.out = at<bf16>(a.out);
  args.k_cache = at<void>(a.k_cache);
  args.v_cache = at<void>(a.v_cache);
  args.block_table = run.step.block_table;
  args.decode = plan.decode;
  args.prefill = plan.prefill;
  args.merges = plan.merges;
  args.counts = plan.counts;
  args.partial_out = run.workspace.partial_out.at<float>();
  args.partial_stats = run.workspace.partial_stats.at<float2>();
  args.kv = kind_of(a.kv_type);
  args.heads = a.heads;
  args.kv_heads = a.kv_heads;
  args.head_dim = a.head_dim;
  args.block_shift = log2_of(a.block_tokens);
  args.table_stride = run.step.table_stride;
  args.window = a.window;
  args.scale = a.scale;
  args.softcap = a.softcap;
  if (run.program.shapes()[static_cast<size_t>(op.plan)].tiled()) return attention(args, plan.capacity, run.stream);
  return attention_plain(args, run.step.query_start, run.step.length, run.step.sequences, run.step.tokens, run.stream);
}

cudaError_t run_gated(const Run& run, const Operation& op) {
  const QrGated& a = op.args.gated;
  return gated({at<bf16>(a.gate_up), at<bf16>(a.out), run.rows(op), a.inner, a.activation == QR_GELU_TANH}, run.stream);
}

ExpertsArgs experts_args(const QrExperts& a, int rows, int flags) {
  auto weights = [&a](const QrWeight& w) {
    const WeightFormat format = weight_format(w);
    return ExpertWeights{at<void>(w.data), format, static_cast<int64_t>(row_bytes(format, w.cols)) * (w.rows / a.experts)};
  };
  ExpertsArgs args = {};
  args.sum = at<bf16>(a.sum);
  args.x = at<bf16>(a.x);
  args.logits = at<float>(a.logits);
  args.gate = weights(a.gate);
  args.up = weights(a.up);
  args.down = weights(a.down);
  args.rows = rows;
  args.cols = a.gate.cols;
  args.inner = a.down.cols;
  args.experts = a.experts;
  args.chosen = a.chosen;
  args.normalised = (flags & QR_NORMALISED) != 0;
  args.gelu = a.activation == QR_GELU_TANH;
  args.add = (flags & QR_ADD) != 0;
  return args;
}

cudaError_t run_sample(const Run& run, const QrSample& a) {
  const OutcomeLayout out(run.step.samples);
  const DeviceBuffer& outcome = run.workspace.outcome;
  SampleArgs args = {};
  args.logits = at<float>(a.logits);
  args.samples = run.step.sample;
  args.entries = run.step.entries;
  args.token = outcome.at<int32_t>(out.token);
  args.logprob = outcome.at<float>(out.logprob);
  args.top_token = outcome.at<int32_t>(out.top_token);
  args.top_logprob = outcome.at<float>(out.top_logprob);
  args.choices = run.workspace.choices.at<uint64_t>();
  args.adjusted = run.workspace.adjusted.at<float>();
  args.rows = run.step.logits;
  args.vocab = a.vocab;
  args.stride = a.vocab;
  args.n = run.step.samples;
  args.kinds = run.step.sample_kinds;
  return sample(args, run.stream);
}

cudaError_t run_op(const Run& run, const Operation& op) {
  if (op.opcode == QR_OP_COPY_BLOCKS) return run_copies(run, op.args.copy_blocks);
  if (op.opcode == QR_OP_SWAP_BLOCKS) return run_swaps(run, op.args.swap_blocks);
  const bool of_logits = op.opcode == QR_OP_GATHER_ROWS || op.opcode == QR_OP_SAMPLE;
  if ((of_logits ? run.step.logits : run.rows(op)) == 0) return cudaSuccess;
  switch (op.opcode) {
    case QR_OP_EMBED: return run_embed(run, op.args.embed);
    case QR_OP_RMS_NORM: return run_norm(run, op);
    case QR_OP_LINEAR: return run_linear(run, op);
    case QR_OP_ROPE_KV: return run_rope(run, op);
    case QR_OP_ATTENTION: return run.step.sequences == 0 ? cudaSuccess : run_attention(run, op);
    case QR_OP_GATED: return run_gated(run, op);
    case QR_OP_EXPERTS: return experts(experts_args(op.args.experts, run.rows(op), op.flags), run.workspace.experts.at<uint8_t>(), run.stream);
    case QR_OP_GATHER_ROWS: {
      const QrGatherRows& a = op.args.gather_rows;
      return gather_rows(at<bf16>(a.x), run.step.logits_row, at<bf16>(a.out), run.step.logits, a.cols, run.stream);
    }
    default: return run_sample(run, op.args.sample);
  }
}

int run_all_reduce(const Run& run, const Operation& op) {
  const QrAllReduce& a = op.args.all_reduce;
  const size_t n = static_cast<size_t>(run.rows(op)) * static_cast<size_t>(a.cols);
  return n == 0 ? QR_OK : run.rank.group->all_reduce(run.rank.index, at<void>(a.x), n, run.program.logits(a.x), run.stream);
}

int run_all_gather(const Run& run, const Operation& op) {
  const QrAllGather& a = op.args.all_gather;
  const int rows = run.rows(op);
  if (rows == 0) return QR_OK;
  float* gathered = run.workspace.gathered.at<float>();
  const size_t n = static_cast<size_t>(rows) * static_cast<size_t>(a.cols);
  const int status = run.rank.group->all_gather(run.rank.index, at<float>(a.x), gathered, n, run.stream);
  if (status != QR_OK || a.out == 0) return status;
  return checked(place_columns(gathered, at<float>(a.out), rows, a.cols, a.out_cols, run.stream), "columns of the ranks");
}

/// What the products of one operation need, one after the other.
void add_products(ProductWorkspace& most, const QrLinear& a, int rows) {
  for (int p = 0; p < a.n_parts; p++) {
    const QrWeight& w = a.parts[p];
    const ProductWorkspace own = product_workspace(weight_format(w), rows, static_cast<int>(w.rows), a.in_cols);
    most = {std::max(most.slices, own.slices), std::max(most.dense, own.dense), std::max(most.codes, own.codes)};
  }
}

}  // namespace

int Workspace::reserve(const Program& program, const StepArrays& step, int ranks, bool* grew) {
  ProductWorkspace products;
  int64_t out = 0, stats = 0, columns = 0, sorted = 0;
  for (const Operation& op : program.operations()) {
    const int rows = (op.flags & QR_ROWS_LOGITS) != 0 ? step.logits : step.tokens;
    if (op.opcode == QR_OP_LINEAR) add_products(products, op.args.linear, rows);
    if (op.opcode == QR_OP_ALL_GATHER) columns = std::max(columns, static_cast<int64_t>(rows) * op.args.all_gather.cols * ranks);
    if (op.opcode == QR_OP_EXPERTS) sorted = std::max(sorted, experts_workspace(experts_args(op.args.experts, rows, op.flags)));
  }
  for (size_t i = 0; i < step.plans.size(); i++) {
    const AttentionShape& shape = program.shapes()[i];
    const int64_t rows = static_cast<int64_t>(step.plans[i].slots) * shape.heads;
    out = std::max(out, rows * shape.head_dim);
    stats = std::max(stats, rows);
  }
  const SampleWorkspace sampling = sample_workspace(step.logits, program.sample() == nullptr ? 0 : program.sample()->vocab, step.samples);
  int status = slices.reserve(static_cast<uint64_t>(products.slices) * sizeof(float), grew);
  if (status == QR_OK) status = dense.reserve(static_cast<uint64_t>(products.dense), grew);
  if (status == QR_OK) status = codes.reserve(static_cast<uint64_t>(products.codes), grew);
  if (status == QR_OK) status = partial_out.reserve(static_cast<uint64_t>(out) * sizeof(float), grew);
  if (status == QR_OK) status = partial_stats.reserve(static_cast<uint64_t>(stats) * sizeof(float2), grew);
  if (status == QR_OK) status = experts.reserve(static_cast<uint64_t>(sorted), grew);
  if (status == QR_OK) status = choices.reserve(static_cast<uint64_t>(sampling.choices) * sizeof(uint64_t), grew);
  if (status == QR_OK) status = adjusted.reserve(static_cast<uint64_t>(sampling.adjusted) * sizeof(float), grew);
  if (status == QR_OK) status = gathered.reserve(static_cast<uint64_t>(columns) * sizeof(float), grew);
  if (status == QR_OK) status = outcome.reserve(OutcomeLayout(step.samples).bytes, grew);
  return status;
}

int enqueue(const Program& program, const StepArrays& step, const Workspace& workspace, CublasLt& lt,
            const std::set<uint64_t>& row_scaled, const Rank& rank, cudaStream_t stream) {
  const Run run = {program, step, workspace, lt, row_scaled, rank, stream};
  const std::vector<Operation>& list = program.operations();
  for (size_t i = 0; i < list.size(); i++) {
    if (list[i].opcode == QR_OP_ALL_REDUCE || list[i].opcode == QR_OP_ALL_GATHER) {
      const int joined = list[i].opcode == QR_OP_ALL_REDUCE ? run_all_reduce(run, list[i]) : run_all_gather(run, list[i]);
      if (joined != QR_OK) return joined;
      continue;
    }
    const cudaError_t status = run_op(run, list[i]);
    if (status != cudaSuccess) {
      cudaGetLastError();
      return fail(QR_FAULT, "operation %d (opcode %d): CUDA: %s", static_cast<int>(i), list[i].opcode, cudaGetErrorString(status));
    }
  }
  return QR_OK;
}

}  // namespace quire::cuda
