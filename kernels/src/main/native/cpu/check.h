// Checks of a list and of its step that hold on any device. Each returns QR_OK or a failure with its text.
#ifndef QUIRE_CPU_CHECK_H
#define QUIRE_CPU_CHECK_H

#include "quire.h"

namespace quire {

/// Counts, arrays, positions, ranges of queries and rows of logits.
int check_step(const QrStep& step);
/// The operands of operation `index` among themselves.
int check_operands(int index, const QrOp& op);
/// COPY_BLOCKS and ROPE_KV of a list, whose operands are sound, on the size of a block.
int check_block_bytes(const QrOp* ops, int32_t n);
/// What operation `index` asks of a step: tokens below vocab, positions one by one within the block table, sound
/// samples, blocks that are swapped within the device's and the host's.
int check_tokens(int index, int64_t vocab, const QrStep& step);
int check_positions(int index, int32_t block_tokens, const QrStep& step);
int check_samples(int index, int32_t vocab, const QrStep& step);
/// A collective on one of `ranks` ranks; 0 where there is no group.
int check_collective(int index, const QrOp& op, int ranks);
int check_swaps(int index, const QrSwapBlocks& args, const QrStep& step);
/// The tokens that are carried, from a list that drew so many.
int check_carry(const QrStep& step, int32_t drawn);

}  // namespace quire

#endif
