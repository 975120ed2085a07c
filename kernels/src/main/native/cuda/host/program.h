// A list of operations as the library keeps it: a copy, checked once, and what every step needs to know of it.
#ifndef QUIRE_CUDA_PROGRAM_H
#define QUIRE_CUDA_PROGRAM_H

#include <string.h>

#include <set>
#include <vector>

#include "attention.h"
#include "quire.h"

namespace quire::cuda {

/// What the cut of a step's attention depends on; layers that agree in it share one.
struct AttentionShape {
  int32_t heads, kv_heads, head_dim, window;
  bool operator==(const AttentionShape&) const = default;
  /// Whether the tiled kernels take it; else it runs on the plain one.
  bool tiled() const;
};

union OpArgs {
  QrCopyBlocks copy_blocks;
  QrSwapBlocks swap_blocks;
  QrEmbed embed;
  QrRmsNorm rms_norm;
  QrLinear linear;
  QrRopeKv rope_kv;
  QrAttention attention;
  QrGated gated;
  QrExperts experts;
  QrGatherRows gather_rows;
  QrSample sample;
  QrAllReduce all_reduce;
  QrAllGather all_gather;
};

struct Operation {
  int32_t opcode, flags;
  int32_t plan;  // of an attention: index into Program::shapes
  OpArgs args;
};

class Program {
 public:
  /// Copies and checks the list for one of `ranks` ranks, 0 where there is no group; QR_OK or a failure, after which the
  /// program holds nothing.
  int compile(const QrOp* ops, int32_t n, int ranks);
  /// Whether it was made from this very list.
  bool is(const QrOp* ops, int32_t n) const;

  const std::vector<Operation>& operations() const { return operations_; }
  const std::vector<AttentionShape>& shapes() const { return shapes_; }
  /// Whether a SAMPLE or an ALL_GATHER reads it, or an EXPERTS as its logits: it holds float32 then.
  bool logits(uint64_t address) const { return logits_.contains(address); }
  /// The operation that samples, or null.
  const QrSample* sample() const { return sample_ < 0 ? nullptr : &operations_[static_cast<size_t>(sample_)].args.sample; }
  /// Rows of the embedding.
  int32_t vocab() const { return vocab_; }
  /// What the operations ask of a step.
  int check(const QrStep& step) const;
  /// Tokens of a cache block; 0 without attention.
  int32_t block_tokens() const { return block_tokens_; }

 private:
  std::vector<Operation> operations_;
  std::vector<AttentionShape> shapes_;
  std::set<uint64_t> logits_;
  int32_t sample_ = -1, block_tokens_ = 0, vocab_ = INT32_MAX;

  int add(int index, const QrOp& op, int ranks);
};

}  // namespace quire::cuda

#endif
