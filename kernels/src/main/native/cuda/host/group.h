// The ranks of a group, a GPU each, and NCCL, which is bound at run time so that nothing depends on it.
#ifndef QUIRE_CUDA_GROUP_H
#define QUIRE_CUDA_GROUP_H

#include <atomic>
#include <vector>

#include "status.h"

namespace quire::cuda {

class RankGroup {
 public:
  RankGroup() = default;
  RankGroup(const RankGroup&) = delete;
  ~RankGroup() { abort(); }
  /// Joins GPUs 0 to ranks - 1. QR_NCCL names another file than the loader's libnccl.so.2.
  int open(int ranks);
  int ranks() const { return static_cast<int>(comms_.size()); }

  /// Puts a collective of `rank` on its stream. Sums of n elements, float or bf16, in place; n floats of each rank one
  /// behind the other.
  int all_reduce(int rank, void* x, size_t n, bool floats, cudaStream_t stream) const;
  int all_gather(int rank, const float* x, float* out, size_t n, cudaStream_t stream) const;

  /// Ends what runs on the ranks and lets nothing more begin. Any thread.
  void abort();
  /// QR_OK, or a failure once the group has been ended.
  int whole(int rank) const;

 private:
  std::atomic<bool> broken_{false};
  std::vector<void*> comms_;  // by rank
  int (*init_all_)(void**, int, const int*) = nullptr;
  int (*all_reduce_)(const void*, void*, size_t, int, int, void*, cudaStream_t) = nullptr;
  int (*all_gather_)(const void*, void*, size_t, int, void*, cudaStream_t) = nullptr;
  int (*abort_)(void*) = nullptr;
  const char* (*error_string_)(int) = nullptr;

  bool bind(void* library);
  int checked_nccl(int rank, int result, const char* what) const;
};

}  // namespace quire::cuda

#endif
