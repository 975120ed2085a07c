#include "group.h"

namespace quire {

bool RankGroup::show(int rank, const Share& share) {
  shares_[static_cast<size_t>(rank)] = share;
  meet();
  if (broken()) return false;
  for (const Share& other : shares_) {
    if (other.opcode == share.opcode && other.rows == share.rows && other.cols == share.cols) continue;
    abort();
    return false;
  }
  return true;
}

void RankGroup::meet() {
  const uint32_t phase = phase_.value();
  if (broken()) return;
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == ranks() - 1) {
    arrived_.store(0, std::memory_order_relaxed);
    phase_.raise();
  } else {
    phase_.await(phase);
  }
}

void RankGroup::abort() {
  broken_.store(true, std::memory_order_seq_cst);
  phase_.raise();
}

}  // namespace quire
