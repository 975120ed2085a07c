// The interpreter: each worker walks the same list; work inside an operation is shared through Pool::parallel.
#include <string.h>

#include <algorithm>

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

int64_t rows_of(const Run& run, const QrOp& op) {
  return (op.flags & QR_ROWS_LOGITS) != 0 ? run.step.n_logits : run.step.n_tokens;
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

/// One direction; each worker takes whole blocks.
void swap(const Run& run, const QrSwapBlocks& a, const int32_t* pairs, int32_t n, bool out) {
  run.dev.pool.parallel(n, [&](int64_t i) {
    const uint64_t device = static_cast<uint64_t>(pairs[2 * i + (out ? 0 : 1)]) * a.block_bytes;
    const uint64_t host = static_cast<uint64_t>(pairs[2 * i + (out ? 1 : 0)]) * static_cast<uint64_t>(a.regions) * a.block_bytes;
    for (uint64_t r = 0; r < static_cast<uint64_t>(a.regions); r++) {
      void* on_device = reinterpret_cast<void*>(a.base + r * a.region_bytes + device);
      void* on_host = reinterpret_cast<void*>(a.host + host + r * a.block_bytes);
      memcpy(out ? on_host : on_device, out ? on_device : on_host, a.block_bytes);
    }
  });
}

void swap_blocks(const Run& run, const QrSwapBlocks& a) {
  swap(run, a, run.step.swaps_out, run.step.n_swaps_out, true);
  swap(run, a, run.step.swaps_in, run.step.n_swaps_in, false);
}

void embed(const Run& run, const QrEmbed& a) {
  const Format& format = *packed_format_of(a.weight.type);
  run.dev.pool.parallel(run.step.n_tokens, [&](int64_t t) {
    embed_row(format, a.weight, run.step.token[t], a.scale,
              reinterpret_cast<float*>(a.out) + t * a.weight.cols);
  });
}

/// f(row) for all rows, those of a quantised block by one thread: they lie in the same cache lines.
template <class F>
void for_rows(const Run& run, int64_t rows, F&& f) {
  Pool& pool = run.dev.pool;
  const int64_t block = rows >= kRowBlock * pool.threads() ? kRowBlock : 1;
  pool.parallel((rows + block - 1) / block, [&](int64_t item) {
    const int64_t end = std::min(rows, (item + 1) * block);
    for (int64_t row = item * block; row < end; row++) f(row);
  });
}

void norm_row(const Run& run, const QrRmsNorm& a, int64_t row, float* out) {
  run.dev.kernels->rms_norm(reinterpret_cast<const float*>(a.x) + row * a.cols,
                            reinterpret_cast<const float*>(a.weight), out, a.cols, a.eps);
}

void quantise_row(const Run& run, const LinearJob& job, const QuantisedRows& q, const float* x, int64_t row) {
  run.dev.kernels->quantise(job, q, x, row, 0, job.in_cols / kGroup);
}

void rms_norm(const Run& run, const Prepared& entry) {
  const QrRmsNorm& a = args_of<QrRmsNorm>(*entry.op);
  for_rows(run, rows_of(run, *entry.op), [&](int64_t row) {
    float* out = reinterpret_cast<float*>(a.out) + row * a.cols;
    norm_row(run, a, row, out);
    if (entry.feeds != nullptr) quantise_row(run, *entry.feeds, entry.feeds->q, out, row);
  });
}

/// Norms and quantises the few rows of a linear operation for this worker alone.
QuantisedRows norm_for_one(const Run& run, const LinearJob& job, const QrRmsNorm& norm) {
  const int64_t mine = run.worker.index * quantised_bytes(job);
  const QuantisedRows q = place_quantised(job, reinterpret_cast<uint8_t*>(job.q.codes) + mine);
  for (int64_t row = 0; row < job.rows; row++) {
    float* out = reinterpret_cast<float*>(norm.out) + row * norm.cols;
    float* normed = run.worker.index == 0 ? out : run.scratch();
    norm_row(run, norm, row, normed);
    quantise_row(run, job, q, normed, row);
  }
  return q;
}

void linear(const Run& run, const Prepared& entry) {
  const LinearJob& job = entry.linear;
  if (job.rows == 0) return;
  QuantisedRows q = job.q;
  if (entry.norm != nullptr) {
    q = norm_for_one(run, job, *entry.norm);
  } else if (job.quantised && !entry.fed) {
    for_rows(run, job.rows, [&](int64_t row) { quantise_row(run, job, q, job.x + row * job.in_cols, row); });
  }
  run.dev.pool.parallel(job.items, [&](int64_t item) { run.dev.kernels->linear(job, q, item, run.scratch()); });
}

void gated(const Run& run, const QrOp& op) {
  const QrGated& a = args_of<QrGated>(op);
  run.dev.pool.parallel(rows_of(run, op), [&](int64_t row) {
    run.dev.kernels->gated(reinterpret_cast<const float*>(a.gate_up) + row * 2 * a.inner,
                           reinterpret_cast<float*>(a.out) + row * a.inner, a.inner, a.activation);
  });
}

void gather_rows(const Run& run, const QrGatherRows& a) {
  run.dev.pool.parallel(run.step.n_logits, [&](int64_t r) {
    memcpy(reinterpret_cast<float*>(a.out) + r * a.cols,
           reinterpret_cast<const float*>(a.x) + static_cast<int64_t>(run.step.logits_row[r]) * a.cols,
           static_cast<size_t>(a.cols) * sizeof(float));
  });
}

/// Elements that a rank sums up at a time.
constexpr int64_t kSumUnit = 256;

/// f() between two meetings of the ranks, the first of which has shown all shares. Called by every worker.
template <class F>
void among_ranks(const Run& run, const Share& share, F&& f) {
  Device& dev = run.dev;
  dev.pool.parallel(1, [&](int64_t) { dev.shown = dev.group->show(dev.rank, share); });
  if (dev.shown) f(*dev.group);
  dev.pool.parallel(1, [&](int64_t) { dev.group->meet(); });
}

/// Each rank sums up every n-th unit and writes the sums to all ranks.
void all_reduce(const Run& run, const QrOp& op) {
  const QrAllReduce& a = args_of<QrAllReduce>(op);
  const int64_t rows = rows_of(run, op), elements = rows * a.cols;
  if (rows == 0) return;
  among_ranks(run, {reinterpret_cast<float*>(a.x), rows, a.cols, op.opcode}, [&](RankGroup& group) {
    const int ranks = group.ranks(), rank = run.dev.rank;
    float* parts[QR_MAX_RANKS];
    for (int r = 0; r < ranks; r++) parts[r] = group.share(r).data;
    const int64_t units = (elements + kSumUnit - 1) / kSumUnit;
    run.dev.pool.parallel((units - rank + ranks - 1) / ranks, [&](int64_t i) {
      const int64_t begin = (rank + i * ranks) * kSumUnit;
      run.dev.kernels->sum_up(parts, ranks, begin, std::min(elements, begin + kSumUnit));
    });
  });
}

void all_gather(const Run& run, const QrOp& op) {
  const QrAllGather& a = args_of<QrAllGather>(op);
  const int64_t rows = rows_of(run, op);
  if (rows == 0) return;
  among_ranks(run, {reinterpret_cast<float*>(a.x), rows, a.cols, op.opcode}, [&](RankGroup& group) {
    run.dev.pool.parallel(a.out == 0 ? 0 : rows, [&](int64_t row) {
      float* out = reinterpret_cast<float*>(a.out) + row * a.out_cols;
      for (int64_t begin = 0; begin < a.out_cols; begin += a.cols) {
        const int64_t cols = std::min<int64_t>(a.cols, a.out_cols - begin);
        memcpy(out + begin, group.share(static_cast<int>(begin / a.cols)).data + row * a.cols,
               static_cast<size_t>(cols) * sizeof(float));
      }
    });
  });
}

void run_op(const Run& run, const Prepared& entry) {
  const QrOp& op = *entry.op;
  Pool& pool = run.dev.pool;
  const Kernels& kernels = *run.dev.kernels;
  switch (op.opcode) {
    case QR_OP_COPY_BLOCKS: return copy_blocks(run, args_of<QrCopyBlocks>(op));
    case QR_OP_SWAP_BLOCKS: return swap_blocks(run, args_of<QrSwapBlocks>(op));
    case QR_OP_EMBED: return embed(run, args_of<QrEmbed>(op));
    case QR_OP_RMS_NORM: return rms_norm(run, entry);
    case QR_OP_LINEAR: return linear(run, entry);
    case QR_OP_ROPE_KV:
      return pool.parallel(run.step.n_tokens, [&](int64_t t) {
        kernels.rope_kv(args_of<QrRopeKv>(op), run.step, op.flags, t, run.scratch());
      });
    case QR_OP_ATTENTION:
      return pool.parallel(entry.attention.items, [&](int64_t item) {
        kernels.attention(entry.attention, item, run.scratch());
      });
    case QR_OP_EXPERTS: return run_experts(run.dev, run.worker, entry.experts);
    case QR_OP_GATED: return gated(run, op);
    case QR_OP_GATHER_ROWS: return gather_rows(run, args_of<QrGatherRows>(op));
    case QR_OP_ALL_REDUCE: return all_reduce(run, op);
    case QR_OP_ALL_GATHER: return all_gather(run, op);
    default:
      return pool.parallel(run.step.n_samples, [&](int64_t s) {
        draw_sample(kernels, args_of<QrSample>(op), run.step, s, run.worker.scratch.data());
      });
  }
}

}  // namespace

void run_list(Device& dev, Worker& worker) {
  const Run run = {dev, worker, *dev.step};
  for (const Prepared& entry : dev.list) {
    if (!entry.absorbed) run_op(run, entry);
  }
}

}  // namespace quire
