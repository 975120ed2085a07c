#include "group.h"

#include <stdlib.h>

#include <numeric>

#include "bind.h"

namespace quire::cuda {
namespace {

/// Of nccl.h: ncclFloat32, ncclBfloat16, ncclSum.
enum : int { kFloat = 7, kBf16 = 9, kSum = 0 };

/// In the shim, what stands on the stream is done before a library that knows nothing of it goes on.
void before_collective() {
#ifdef QR_SHIM
  shim::settle();
#endif
}

}  // namespace

bool RankGroup::bind(void* library) {
  return bind_function(library, init_all_, "ncclCommInitAll") && bind_function(library, all_reduce_, "ncclAllReduce") &&
         bind_function(library, all_gather_, "ncclAllGather") && bind_function(library, abort_, "ncclCommAbort") &&
         bind_function(library, error_string_, "ncclGetErrorString");
}

int RankGroup::open(int ranks) {
  const char* named = getenv("QR_NCCL");
  const char* path = named != nullptr ? named : "libnccl.so.2";
  void* library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (library == nullptr) {
    return fail(QR_UNSUPPORTED,
                "several GPUs need NCCL, and it cannot be loaded: %s; install libnccl2, or set QR_NCCL to the file", dlerror());
  }
  if (!bind(library)) return fail(QR_UNSUPPORTED, "%s is not a usable NCCL: a function is missing", path);
  std::vector<int> devices(static_cast<size_t>(ranks));
  std::iota(devices.begin(), devices.end(), 0);
  std::vector<void*> comms(devices.size());
  const int result = init_all_(comms.data(), ranks, devices.data());
  if (result != 0) return fail(QR_FAULT, "NCCL cannot join %d GPUs: %s", ranks, error_string_(result));
  comms_ = comms;
  return QR_OK;
}

int RankGroup::checked_nccl(int rank, int result, const char* what) const {
  return result == 0 ? QR_OK : fail(QR_FAULT, "rank %d of %d: NCCL: %s: %s", rank, ranks(), what, error_string_(result));
}

int RankGroup::all_reduce(int rank, void* x, size_t n, bool floats, cudaStream_t stream) const {
  const int status = whole(rank);
  if (status != QR_OK) return status;
  before_collective();
  return checked_nccl(rank, all_reduce_(x, x, n, floats ? kFloat : kBf16, kSum, comms_[static_cast<size_t>(rank)], stream), "all-reduce");
}

int RankGroup::all_gather(int rank, const float* x, float* out, size_t n, cudaStream_t stream) const {
  const int status = whole(rank);
  if (status != QR_OK) return status;
  before_collective();
  return checked_nccl(rank, all_gather_(x, out, n, kFloat, comms_[static_cast<size_t>(rank)], stream), "all-gather");
}

void RankGroup::abort() {
  if (broken_.exchange(true)) return;
  for (void* comm : comms_) abort_(comm);
}

int RankGroup::whole(int rank) const {
  return broken_ ? fail(QR_FAULT, "rank %d of %d: the group was ended", rank, ranks()) : QR_OK;
}

}  // namespace quire::cuda
