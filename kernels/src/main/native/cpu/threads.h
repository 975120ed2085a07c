// The pool: worker threads that run one job together, phase by phase.
#ifndef QUIRE_CPU_THREADS_H
#define QUIRE_CPU_THREADS_H

#include <pthread.h>
#include <stdint.h>

#include <atomic>
#include <memory>

namespace quire {

/// A number to wait for: spins briefly, then sleeps in the kernel.
class Signal {
 public:
  uint32_t value() const { return value_.load(std::memory_order_acquire); }
  /// Adds one and wakes whoever sleeps.
  void raise();
  /// Returns when the value is no longer `seen`.
  void await(uint32_t seen);

 private:
  std::atomic<uint32_t> value_{0};
  std::atomic<uint32_t> sleepers_{0};
};

/// Memory that grows and is kept; contents are lost when it grows.
class Scratch {
 public:
  Scratch() = default;
  ~Scratch();
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;
  bool reserve(int64_t bytes);
  uint8_t* data() const { return data_; }

 private:
  uint8_t* data_ = nullptr;
  int64_t bytes_ = 0;
};

class Pool;

struct Worker {
  Pool* pool = nullptr;
  int index = 0;
  pthread_t thread{};
  Scratch scratch;
};

class Pool {
 public:
  using Job = void (*)(void* context, Worker& worker);

  ~Pool() { stop(); }
  /// Starts the threads; false when the system refuses.
  bool start(int threads);
  void stop();

  /// Runs `job` on every worker. The caller prepares nothing else until wait() has returned.
  void run(Job job, void* context);
  void wait();
  /// How long the last job took.
  int64_t nanos() const { return nanos_; }

  int threads() const { return count_; }
  Worker& worker(int i) { return workers_[i]; }

  /// Called by every worker of a job: f(0), ..., f(n - 1), each once by whoever is free; returns when all are done.
  template <class F>
  void parallel(int64_t n, F&& f) {
    if (n <= 0) return;
    if (count_ == 1) {
      for (int64_t i = 0; i < n; i++) f(i);
      return;
    }
    for (int64_t i; (i = next_.fetch_add(1, std::memory_order_relaxed)) < n;) f(i);
    barrier();
  }

 private:
  static void* thread_main(void* worker);
  void barrier();

  std::unique_ptr<Worker[]> workers_;
  int count_ = 0;
  Job job_ = nullptr;
  void* context_ = nullptr;
  bool stopping_ = false;
  uint32_t runs_ = 0;
  int64_t began_ = 0, nanos_ = 0;
  alignas(64) std::atomic<int64_t> next_{0};
  alignas(64) std::atomic<int> arrived_{0};
  alignas(64) Signal phase_;
  alignas(64) Signal started_;
  alignas(64) Signal finished_;
};

/// Starts a thread that no signal of the host program reaches, but for faults; false when there can be no further one.
bool start_thread(pthread_t* thread, void* (*main)(void*), void* argument);

/// Physical cores that this process may use: affinity mask, siblings counted once, limited by the cgroup's quota.
int usable_cores();

}  // namespace quire

#endif
