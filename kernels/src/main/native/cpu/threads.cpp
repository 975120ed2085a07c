#include "threads.h"

#include <linux/futex.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

namespace quire {
namespace {

/// Longer than a phase's imbalance, short enough not to starve the threads of the server.
constexpr int64_t kSpinNanos = 50000;
/// A pause takes between 10 and 150 cycles, by processor: so the clock is asked now and then.
constexpr int kPauses = 64;

int64_t now_nanos() {
  timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return static_cast<int64_t>(now.tv_sec) * 1000000000 + now.tv_nsec;
}

void pause_once() {
#if defined(__x86_64__)
  _mm_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

void futex(std::atomic<uint32_t>* address, int operation, uint32_t value) {
  syscall(SYS_futex, address, operation | FUTEX_PRIVATE_FLAG, value, nullptr, nullptr, 0);
}

}  // namespace

void Signal::raise() {
  value_.fetch_add(1, std::memory_order_seq_cst);
  if (sleepers_.load(std::memory_order_seq_cst) != 0) futex(&value_, FUTEX_WAKE, INT_MAX);
}

void Signal::await(uint32_t seen) {
  for (int64_t end = 0;;) {
    for (int i = 0; i < kPauses; i++) {
      if (value() != seen) return;
      pause_once();
    }
    const int64_t now = now_nanos();
    if (end == 0) end = now + kSpinNanos;
    if (now >= end) break;
  }
  sleepers_.fetch_add(1, std::memory_order_seq_cst);
  while (value_.load(std::memory_order_seq_cst) == seen) futex(&value_, FUTEX_WAIT, seen);
  sleepers_.fetch_sub(1, std::memory_order_seq_cst);
}

Scratch::~Scratch() { free(data_); }

bool Scratch::reserve(int64_t bytes) {
  if (bytes <= bytes_) return true;
  free(data_);
  const int64_t rounded = (bytes + bytes / 4 + 4095) / 4096 * 4096;
  data_ = static_cast<uint8_t*>(aligned_alloc(4096, static_cast<size_t>(rounded)));
  bytes_ = data_ == nullptr ? 0 : rounded;
  return data_ != nullptr;
}

bool start_thread(pthread_t* thread, void* (*main)(void*), void* argument) {
  // Signals belong to the threads of the host program; one of ours must never run one of its handlers.
  sigset_t all, before;
  sigfillset(&all);
  // A fault must reach the host's handler, which says where it was; blocked, it ends the process without a word.
  for (const int fault : {SIGSEGV, SIGBUS, SIGILL, SIGFPE}) sigdelset(&all, fault);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  const bool started = pthread_create(thread, nullptr, main, argument) == 0;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);
  return started;
}

bool Pool::start(int threads) {
  workers_ = std::make_unique<Worker[]>(static_cast<size_t>(threads));
  int started = 0;
  count_ = threads;
  for (; started < threads; started++) {
    workers_[started].pool = this;
    workers_[started].index = started;
    if (!start_thread(&workers_[started].thread, thread_main, &workers_[started])) break;
  }
  if (started == threads) return true;
  count_ = started;
  stop();
  return false;
}

void Pool::stop() {
  if (count_ == 0) return;
  stopping_ = true;
  started_.raise();
  for (int i = 0; i < count_; i++) pthread_join(workers_[i].thread, nullptr);
  count_ = 0;
}

void* Pool::thread_main(void* argument) {
  Worker& worker = *static_cast<Worker*>(argument);
  Pool& pool = *worker.pool;
  char name[16];
  snprintf(name, sizeof name, "quire-cpu-%hu", static_cast<uint16_t>(worker.index));
  pthread_setname_np(pthread_self(), name);
  for (uint32_t seen = 0;; seen++) {
    pool.started_.await(seen);
    if (pool.stopping_) return nullptr;
    pool.job_(pool.context_, worker);
    // The last one out: its acquire sees what all have written.
    if (pool.arrived_.fetch_add(1, std::memory_order_acq_rel) == pool.count_ - 1) {
      pool.arrived_.store(0, std::memory_order_relaxed);
      pool.nanos_ = now_nanos() - pool.began_;
      pool.finished_.raise();
    }
  }
}

void Pool::run(Job job, void* context) {
  job_ = job;
  context_ = context;
  began_ = now_nanos();
  next_.store(0, std::memory_order_relaxed);
  started_.raise();
}

void Pool::wait() {
  finished_.await(runs_);
  runs_++;
}

void Pool::barrier() {
  const uint32_t phase = phase_.value();
  if (arrived_.fetch_add(1, std::memory_order_acq_rel) == count_ - 1) {
    arrived_.store(0, std::memory_order_relaxed);
    next_.store(0, std::memory_order_relaxed);
    phase_.raise();
  } else {
    phase_.await(phase);
  }
}

}  // namespace quire
