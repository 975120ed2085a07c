// The part of NCCL that the library uses, for tests on the CPU: ranks are threads of one process that meet in each call.
// What it is strict about: all ranks must ask for the same operation and count, each on a stream of its own.
#include <stdint.h>
#include <string.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#define NCCL_EXPORT extern "C" __attribute__((visibility("default")))

namespace {

enum { kSuccess = 0, kInvalidArgument = 4, kInvalidUsage = 5, kAborted = 6 };
enum { kFloat = 7, kBf16 = 9 };

struct Call {
  const void* from;
  size_t n;
  int type, operation;
  void* stream;
};

struct World {
  explicit World(int ranks) : calls(static_cast<size_t>(ranks)) {}
  std::mutex mutex;
  std::condition_variable turned;
  std::vector<Call> calls;
  int arrived = 0;
  int64_t turn = 0;
  bool aborted = false;

  /// Whether all ranks came.
  bool meet() {
    std::unique_lock<std::mutex> lock(mutex);
    if (aborted) return false;
    const int64_t mine = turn;
    if (++arrived == static_cast<int>(calls.size())) {
      arrived = 0;
      turn++;
      turned.notify_all();
      return true;
    }
    turned.wait(lock, [&] { return turn != mine || aborted; });
    return turn != mine;
  }
  bool agreed() const {
    for (const Call& call : calls) {
      if (call.n != calls[0].n || call.type != calls[0].type || call.operation != calls[0].operation) return false;
      for (const Call& other : calls) {
        if (&other != &call && other.stream == call.stream) return false;
      }
    }
    return true;
  }
};

struct Comm {
  std::shared_ptr<World> world;
  size_t rank;
};

float value_at(const Call& call, size_t i) {
  if (call.type == kFloat) return static_cast<const float*>(call.from)[i];
  const uint32_t bits = static_cast<uint32_t>(static_cast<const uint16_t*>(call.from)[i]) << 16;
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

void append(std::vector<uint8_t>& to, float value, int type) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  if (type == kBf16) bits = (bits + 0x7fff + (bits >> 16 & 1)) >> 16;
  const uint8_t* bytes = reinterpret_cast<const uint8_t*>(&bits);
  to.insert(to.end(), bytes, bytes + (type == kBf16 ? 2 : 4));
}

/// Shows a call to the others; result(calls) is copied to `to` when all have read what they need.
template <class F>
int collective(void* handle, const Call& call, void* to, F&& result) {
  const Comm& comm = *static_cast<Comm*>(handle);
  const std::shared_ptr<World> world = comm.world;
  const size_t rank = comm.rank;
  if (call.type != kFloat && call.type != kBf16) return kInvalidArgument;
  world->calls[rank] = call;
  if (!world->meet()) return kAborted;
  if (!world->agreed()) return kInvalidUsage;
  std::vector<uint8_t> bytes;
  result(world->calls, bytes);
  if (!world->meet()) return kAborted;
  memcpy(to, bytes.data(), bytes.size());
  return world->meet() ? kSuccess : kAborted;
}

}  // namespace

NCCL_EXPORT int ncclCommInitAll(void** comms, int n, const int* devices) {
  const auto world = std::make_shared<World>(n);
  for (int r = 0; r < n; r++) {
    if (devices[r] != r) return kInvalidArgument;
    comms[r] = new Comm{world, static_cast<size_t>(r)};
  }
  return kSuccess;
}

NCCL_EXPORT int ncclAllReduce(const void* from, void* to, size_t n, int type, int operation, void* comm, void* stream) {
  if (operation != 0) return kInvalidArgument;
  return collective(comm, {from, n, type, 0, stream}, to, [&](const std::vector<Call>& calls, std::vector<uint8_t>& bytes) {
    for (size_t i = 0; i < n; i++) {
      float sum = 0;
      for (const Call& call : calls) sum += value_at(call, i);
      append(bytes, sum, type);
    }
  });
}

NCCL_EXPORT int ncclAllGather(const void* from, void* to, size_t n, int type, void* comm, void* stream) {
  return collective(comm, {from, n, type, 1, stream}, to, [&](const std::vector<Call>& calls, std::vector<uint8_t>& bytes) {
    for (const Call& call : calls) {
      for (size_t i = 0; i < n; i++) append(bytes, value_at(call, i), type);
    }
  });
}

NCCL_EXPORT int ncclCommAbort(void* handle) {
  Comm* comm = static_cast<Comm*>(handle);
  const std::shared_ptr<World> world = comm->world;
  {
    const std::lock_guard<std::mutex> lock(world->mutex);
    world->aborted = true;
  }
  world->turned.notify_all();
  delete comm;
  return kSuccess;
}

NCCL_EXPORT const char* ncclGetErrorString(int result) {
  switch (result) {
    case kSuccess: return "no error";
    case kInvalidUsage: return "invalid usage";
    case kAborted: return "aborted";
    default: return "invalid argument";
  }
}
