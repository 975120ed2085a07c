#include <sched.h>
#include <sys/mman.h>

#include <algorithm>

#include "device.h"

#ifndef MADV_POPULATE_WRITE  // Linux 5.14
#define MADV_POPULATE_WRITE 23
#endif

namespace quire {
namespace {

/// A huge page: for as long as the kernel clears it, nobody can map or unmap anything.
constexpr uint64_t kStride = 2u << 20;

}  // namespace

Populator::Populator(uint64_t base, uint64_t bytes) : base_(base), bytes_(bytes) {
  running_ = start_thread(&thread_, thread_main, this);
}

Populator::~Populator() {
  stopping_ = true;
  if (running_) pthread_join(thread_, nullptr);
}

void* Populator::thread_main(void* argument) {
  Populator& self = *static_cast<Populator*>(argument);
  pthread_setname_np(pthread_self(), "quire-memory");
  const sched_param none = {};
  pthread_setschedparam(pthread_self(), SCHED_IDLE, &none);
  for (uint64_t done = 0; done < self.bytes_ && !self.stopping_; done += kStride) {
    const uint64_t bytes = std::min(kStride, self.bytes_ - done);
    // Where the kernel cannot, or has no page left, pages come when they are first written, as ever.
    if (madvise(reinterpret_cast<void*>(self.base_ + done), bytes, MADV_POPULATE_WRITE) != 0) break;
  }
  return nullptr;
}

}  // namespace quire
