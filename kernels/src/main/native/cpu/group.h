// The ranks of a group: where they meet, and what they show each other.
#ifndef QUIRE_CPU_GROUP_H
#define QUIRE_CPU_GROUP_H

#include <atomic>
#include <vector>

#include "threads.h"

namespace quire {

/// What a rank brings to a collective operation: a matrix [rows, cols], and which operation it stands at.
struct Share {
  float* data;
  int64_t rows, cols;
  int opcode;
};

class RankGroup {
 public:
  explicit RankGroup(int ranks) : shares_(static_cast<size_t>(ranks)) {}
  RankGroup(const RankGroup&) = delete;

  int ranks() const { return static_cast<int>(shares_.size()); }
  /// Shows a share and returns when all ranks have shown theirs; false when the group is broken. Ranks that stand at
  /// different operations break it.
  bool show(int rank, const Share& share);
  /// Returns when all ranks are here, or the group is broken.
  void meet();
  /// Of any rank, between show() and meet().
  const Share& share(int rank) const { return shares_[static_cast<size_t>(rank)]; }

  /// Wakes whoever waits and lets nobody wait any more.
  void abort();
  bool broken() const { return broken_.load(std::memory_order_seq_cst); }

 private:
  std::vector<Share> shares_;
  std::atomic<bool> broken_{false};
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) Signal phase_;
};

}  // namespace quire

#endif
