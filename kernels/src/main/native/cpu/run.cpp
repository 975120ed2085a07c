// The interpreter: each worker walks the same list; work inside an operation is shared through Pool::parallel.
#include <string.h>

#include "device.h"

namespace quire {
namespace {

struct Run {
  Device& dev;
  Worker& worker;
  const QrStep& step;

  float* scratch() const { return reinterpret_cast<float*>(worker.scratch.data()); }
};

template <class Args>
const Args& args_of(const QrOp& op) {
  return *reinterpret_cast<const Args*>(op.args);
}

void copy_blocks(const Run& run, const QrCopyBlocks& a) {
  run.dev.pool.parallel(run.step.n_copies > 0 ? a.regions : 0, [&](int64_t region) {
    uint8_t* base = reinterpret_cast<uint8_t*>(a.base) + static_cast<uint64_t>(region) * a.region_bytes;
    for (int32_t i = 0; i < run.step.n_copies; i++) {
      const uint64_t from = static_cast<uint64_t>(run.step.copies[2 * i]) * a.block_bytes;
      const uint64_t to = static_cast<uint64_t>(run.step.copies[2 * i + 1]) * a.block_bytes;
      if (from != to) memcpy(base + to, base + from, a.block_bytes);
    }
  });
}

void embed(const Run& run, const QrEmbed& a) {
  const Format& format = *format_of(a.weight.type);
  run.dev.pool.parallel(run.step.n_tokens, [&](int64_t t) {
    embed_row(format, a.weight, run.step.token[t], a.scale,
              reinterpret_cast<float*>(a.out) + t * a.weight.cols);
  });
}

void rms_norm(const Run& run, const QrRmsNorm& a, int flags) {
  const int64_t rows = (flags & QR_ROWS_LOGITS) != 0 ? run.step.n_logits : run.step.n_tokens;
  run.dev.pool.parallel(rows, [&](int64_t row) {
    run.dev.kernels->rms_norm(reinterpret_cast<const float*>(a.x) + row * a.cols,
                              reinterpret_cast<const float*>(a.weight),
                              reinterpret_cast<float*>(a.out) + row * a.cols, a.cols, a.eps);
  });
}

void linear(const Run& run, const LinearJob& job) {
  if (job.rows == 0) return;
  bool quantised = false;
  for (int p = 0; p < job.n_parts; p++) quantised = quantised || job.parts[p].format->code_bits != 0;
  if (quantised) {
    run.dev.pool.parallel(job.rows, [&](int64_t row) { run.dev.kernels->quantise(job, row); });
  }
  run.dev.pool.parallel(job.items, [&](int64_t item) {
    run.dev.kernels->linear(job, item);
  });
}

void gated(const Run& run, const QrGated& a) {
  run.dev.pool.parallel(run.step.n_tokens, [&](int64_t t) {
    run.dev.kernels->gated(reinterpret_cast<const float*>(a.gate_up) + t * 2 * a.inner,
                           reinterpret_cast<float*>(a.out) + t * a.inner, a.inner, a.activation);
  });
}

void gather_rows(const Run& run, const QrGatherRows& a) {
  run.dev.pool.parallel(run.step.n_logits, [&](int64_t r) {
    memcpy(reinterpret_cast<float*>(a.out) + r * a.cols,
           reinterpret_cast<const float*>(a.x) + static_cast<int64_t>(run.step.logits_row[r]) * a.cols,
           static_cast<size_t>(a.cols) * sizeof(float));
  });
}

void run_op(const Run& run, const Prepared& entry) {
  const QrOp& op = *entry.op;
  Pool& pool = run.dev.pool;
  const Kernels& kernels = *run.dev.kernels;
  switch (op.opcode) {
    case QR_OP_COPY_BLOCKS: return copy_blocks(run, args_of<QrCopyBlocks>(op));
    case QR_OP_EMBED: return embed(run, args_of<QrEmbed>(op));
    case QR_OP_RMS_NORM: return rms_norm(run, args_of<QrRmsNorm>(op), op.flags);
    case QR_OP_LINEAR: return linear(run, entry.linear);
    case QR_OP_ROPE_KV:
      return pool.parallel(run.step.n_tokens, [&](int64_t t) {
        kernels.rope_kv(args_of<QrRopeKv>(op), run.step, op.flags, t, run.scratch());
      });
    case QR_OP_ATTENTION:
      return pool.parallel(entry.attention.items, [&](int64_t item) {
        kernels.attention(entry.attention, item, run.scratch());
      });
    case QR_OP_GATED: return gated(run, args_of<QrGated>(op));
    case QR_OP_GATHER_ROWS: return gather_rows(run, args_of<QrGatherRows>(op));
    default:
      return pool.parallel(run.step.n_samples, [&](int64_t s) {
        draw_sample(kernels, args_of<QrSample>(op), run.step, s, run.worker.scratch.data());
      });
  }
}

}  // namespace

void run_list(Device& dev, Worker& worker) {
  const Run run = {dev, worker, *dev.step};
  for (const Prepared& entry : dev.list) run_op(run, entry);
}

}  // namespace quire
