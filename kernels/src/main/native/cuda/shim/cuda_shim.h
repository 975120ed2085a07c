// Runs CUDA sources on the CPU, for tests: one fiber per CUDA thread, the blocks of a grid one after another.
// What it is strict about, because hardware is not: dynamic shared memory starts as NaN, a cp.async lands only at
// the wait that covers it, a barrier that can never open aborts with the number of the block. SHIM_ORDER=0|1|n runs
// the threads forward, backward or shuffled with seed n; results that differ show a missing barrier. A kernel begins
// before the one before it has run: one block goes as far as start_after_previous, and only then do the rest of the
// kernel before and the writes of before_next_kernel happen. A thread that ends without that call aborts.
// Not covered: real memory ordering, registers, occupancy, speed.
#ifndef QUIRE_CUDA_SHIM_H
#define QUIRE_CUDA_SHIM_H

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <random>
#include <set>
#include <string>
#include <vector>

#ifndef __x86_64__
#error "the switch between fibers is written for x86-64 only"
#endif

#define __global__
#define __device__
#define __host__
#define __forceinline__ inline
#define __launch_bounds__(...)

struct dim3 {
  unsigned x, y, z;
  dim3(unsigned x = 1, unsigned y = 1, unsigned z = 1) : x(x), y(y), z(z) {}
};
struct uint3 {
  unsigned x, y, z;
};
struct alignas(8) float2 {
  float x, y;
};
struct alignas(16) float4 {
  float x, y, z, w;
};
struct alignas(8) uint2 {
  uint32_t x, y;
};
struct alignas(16) uint4 {
  uint32_t x, y, z, w;
};
struct int2 {
  int x, y;
};
inline float2 make_float2(float x, float y) { return {x, y}; }
inline uint4 make_uint4(uint32_t x, uint32_t y, uint32_t z, uint32_t w) { return {x, y, z, w}; }

typedef void* cudaStream_t;
typedef int cudaError_t;
enum { cudaSuccess = 0, cudaErrorInvalidValue = 1, cudaErrorMemoryAllocation = 2 };

/// Saves the callee-saved registers and the stack pointer to *save, and continues at the stack `to`.
extern "C" void shim_switch(void** save, void* to);
asm(R"(.text
.weak shim_switch
.type shim_switch, @function
shim_switch:
 pushq %rbp
 pushq %rbx
 pushq %r12
 pushq %r13
 pushq %r14
 pushq %r15
 movq %rsp, (%rdi)
 movq %rsi, %rsp
 popq %r15
 popq %r14
 popq %r13
 popq %r12
 popq %rbx
 popq %rbp
 ret
)");

namespace shim {

constexpr size_t kStackBytes = 96 << 10;
constexpr int kWarp = 32;
constexpr size_t kMostShared = 232448;  // of a block
enum class Wait { kNone, kWarp, kBlock, kPrevious };

struct Copy {
  void* to;
  const void* from;
  int bytes;  // the rest of 16 becomes zero
};

struct Fiber {
  void* stack_pointer = nullptr;
  std::unique_ptr<char[]> stack;
  bool done = false, started = false;           // started: by start_after_previous
  Wait wait = Wait::kNone;
  int turn = 0;                                 // of the two exchange slots, the one in use
  uint64_t slot[2][4] = {};                     // what this lane shows to its warp
  std::deque<std::vector<Copy>> groups;         // cp.async groups under way; the last is still open
};

/// A kernel under way.
struct Machine {
  std::string name;
  std::vector<Fiber> fibers;
  void* scheduler = nullptr;
  unsigned current = 0, threads = 0;
  dim3 block_size, grid_size;
  uint3 thread{}, block{};
  std::unique_ptr<uint64_t[]> shared;
  size_t shared_words = 0;
  std::unique_ptr<std::function<void()>> body;  // its threads stand in it, so it stays where it is
  int kind = 0;                 // SHIM_ORDER
  std::vector<unsigned> order;  // of the threads
  bool unfinished = false, previous_ended = false;
};
inline Machine machine;   // whose threads run now, or ran last
inline Machine previous;  // the kernel before it, while its end is still to come
inline std::vector<std::function<void()>> writes;  // of before_next_kernel
inline std::set<const void*> kernels_run;
inline std::mutex one_at_a_time;

constexpr int kDevices = 4;
inline thread_local int device = 0;  // that cudaSetDevice has selected
/// The stream of a device; null goes with any.
inline void* stream_of(int device) { return reinterpret_cast<void*>(static_cast<uintptr_t>(device) + 1); }

inline Fiber& me() { return machine.fibers[machine.current]; }
inline unsigned lane() { return machine.current % kWarp; }
inline Fiber& peer(unsigned lane) { return machine.fibers[machine.current / kWarp * kWarp + lane]; }

[[noreturn]] inline void fail(const char* what) {
  fprintf(stderr, "shim: %s, block %u,%u,%u thread %u of %s\n", what, machine.block.x, machine.block.y, machine.block.z,
          machine.current, machine.name.c_str());
  abort();
}

inline void require_own(cudaStream_t stream) {
  if (stream != nullptr && stream != stream_of(device)) fail("work on a stream of another device than the selected one");
}

inline void resume(unsigned t) {
  machine.current = t;
  const dim3& size = machine.block_size;
  machine.thread = {t % size.x, t / size.x % size.y, t / (size.x * size.y)};
  shim_switch(&machine.scheduler, machine.fibers[t].stack_pointer);
}

inline void wait(Wait reason) {
  Fiber& fiber = me();
  fiber.wait = reason;
  shim_switch(&fiber.stack_pointer, machine.scheduler);
}

inline void start_after_previous() {
  me().started = true;
  if (!machine.previous_ended) wait(Wait::kPrevious);
}

inline void enter() {
  (*machine.body)();
  if (!me().started) fail("a thread ended without start_after_previous");
  me().done = true;
  shim_switch(&me().stack_pointer, machine.scheduler);
}

inline void prepare(Fiber& fiber) {
  if (!fiber.stack) fiber.stack.reset(new char[kStackBytes]);
  fiber.done = fiber.started = false;
  fiber.wait = Wait::kNone;
  fiber.groups.assign(1, {});
  void** top = reinterpret_cast<void**>((reinterpret_cast<uintptr_t>(fiber.stack.get()) + kStackBytes) & ~uintptr_t{15});
  *--top = nullptr;  // the return address that enter() never uses
  *--top = reinterpret_cast<void*>(enter);
  for (int i = 0; i < 6; i++) *--top = nullptr;
  fiber.stack_pointer = top;
}

/// Opens the barriers of threads [from, to) if every live one waits for it; whether one opened.
inline bool open_barrier(unsigned from, unsigned to, Wait reason) {
  bool some = false;
  for (unsigned t = from; t < to; t++) {
    const Fiber& fiber = machine.fibers[t];
    if (fiber.done) continue;
    if (fiber.wait != reason) return false;
    some = true;
  }
  for (unsigned t = from; some && t < to; t++) machine.fibers[t].wait = Wait::kNone;
  return some;
}

/// Resumes the threads of [from, to) that wait for nothing, once each; whether there were any.
inline bool run_threads(unsigned from, unsigned to) {
  bool some = false;
  for (unsigned t : machine.order) {
    if (t < from || t >= to) continue;
    Fiber& fiber = machine.fibers[t];
    if (fiber.done || fiber.wait != Wait::kNone) continue;
    resume(t);
    some = true;
  }
  return some;
}

/// Runs the block until all its threads have ended or, before the kernel before has ended, wait for that. In order 0 all
/// warps go side by side, from exchange to exchange. In the others a warp runs on alone as far as the block's barrier:
/// what it should have waited for, the others have not done.
inline void run_block() {
  const unsigned threads = machine.threads, together = machine.kind == 0 ? threads : kWarp;
  for (bool progress = true; progress;) {
    progress = false;
    for (unsigned first : machine.order) {
      if (first % together != 0) continue;
      const unsigned last = std::min(first + together, threads);
      for (bool on = true; on;) {
        on = run_threads(first, last);
        for (unsigned w = first; w < last; w += kWarp) on |= open_barrier(w, std::min(w + kWarp, threads), Wait::kWarp);
        progress |= on;
      }
    }
    progress |= open_barrier(0, threads, Wait::kBlock);
  }
  for (unsigned t = 0; t < threads && machine.previous_ended; t++) {
    if (!machine.fibers[t].done) fail("barrier never opens");
  }
}

inline void begin_block(unsigned x, unsigned y, unsigned z) {
  machine.block = {x, y, z};
  machine.shared.reset(new uint64_t[machine.shared_words + 2]);  // anew, so that address sanitizers see its end
  memset(machine.shared.get(), 0xFF, (machine.shared_words + 2) * 8);
  for (unsigned t = 0; t < machine.threads; t++) prepare(machine.fibers[t]);
}

/// The block that begins before the kernel before has ended: the first, or in other orders the last.
inline uint3 early_block() {
  const dim3& grid = machine.grid_size;
  return machine.kind == 0 ? uint3{0, 0, 0} : uint3{grid.x - 1, grid.y - 1, grid.z - 1};
}

/// What the kernel under way has left to do, where there is one.
inline void finish() {
  if (!machine.unfinished) return;
  for (unsigned t = 0; t < machine.threads; t++) {
    if (machine.fibers[t].wait == Wait::kPrevious) machine.fibers[t].wait = Wait::kNone;
  }
  run_block();
  const uint3 early = early_block();
  for (unsigned z = 0; z < machine.grid_size.z; z++) {
    for (unsigned y = 0; y < machine.grid_size.y; y++) {
      for (unsigned x = 0; x < machine.grid_size.x; x++) {
        if (x == early.x && y == early.y && z == early.z) continue;
        begin_block(x, y, z);
        run_block();
      }
    }
  }
  machine.unfinished = false;
  machine.body = nullptr;
}

inline void land_writes() {
  for (const auto& write : writes) write();
  writes.clear();
}

/// Waits for all that was launched, as every call of the runtime that orders itself behind kernels does.
inline void settle() {
  const std::lock_guard<std::mutex> alone(one_at_a_time);
  finish();
  land_writes();
}

/// Has `write` happen where a kernel before the next one would have written.
inline void before_next_kernel(std::function<void()> write) {
  const std::lock_guard<std::mutex> alone(one_at_a_time);
  writes.push_back(std::move(write));
}

inline int wanted_order() {
  const char* wanted = getenv("SHIM_ORDER");
  return wanted != nullptr ? atoi(wanted) : 0;
}

inline std::vector<unsigned> thread_order(unsigned threads, int kind) {
  std::vector<unsigned> order(threads);
  for (unsigned t = 0; t < threads; t++) order[t] = t;
  if (kind == 1) std::reverse(order.begin(), order.end());
  if (kind > 1) std::shuffle(order.begin(), order.end(), std::mt19937(static_cast<unsigned>(kind)));
  return order;
}

/// Begins a kernel and ends the one before it; its own end comes with the next launch or settle().
inline void launch(std::string name, dim3 grid, dim3 block, size_t shared_bytes, std::function<void()> body) {
  const std::lock_guard<std::mutex> alone(one_at_a_time);
  std::swap(machine, previous);
  machine.name = std::move(name);
  machine.threads = block.x * block.y * block.z;
  if (grid.x == 0 || grid.y == 0 || grid.z == 0 || grid.y > 65535 || grid.z > 65535 || machine.threads == 0 ||
      machine.threads > 1024 || shared_bytes > kMostShared) {
    fail("a launch that hardware refuses");
  }
  machine.body = std::make_unique<std::function<void()>>(std::move(body));
  machine.block_size = block;
  machine.grid_size = grid;
  machine.shared_words = (shared_bytes + 7) / 8;
  if (machine.fibers.size() < machine.threads) machine.fibers.resize(machine.threads);
  machine.kind = wanted_order();
  machine.order = thread_order(machine.threads, machine.kind);
  machine.previous_ended = false;
  machine.unfinished = true;
  const uint3 early = early_block();
  begin_block(early.x, early.y, early.z);
  run_block();
  std::swap(machine, previous);
  finish();
  land_writes();
  std::swap(machine, previous);
  machine.previous_ended = true;
}

inline void* shared_memory() {
  return reinterpret_cast<void*>((reinterpret_cast<uintptr_t>(machine.shared.get()) + 15) & ~uintptr_t{15});
}

/// Shows `value` to the warp and returns which slot holds everybody's. The two slots alternate: a lane can only be
/// one exchange ahead, so the other slot is never overwritten before all have read it.
template <class T>
int exchange(const T& value) {
  static_assert(sizeof(T) <= sizeof(Fiber::slot[0]));
  Fiber& fiber = me();
  const int turn = fiber.turn;
  fiber.turn ^= 1;
  memcpy(fiber.slot[turn], &value, sizeof(T));
  wait(Wait::kWarp);
  return turn;
}
template <class T>
T shown(int turn, unsigned lane) {
  T value;
  memcpy(&value, peer(lane).slot[turn], sizeof(T));
  return value;
}
template <class T>
T shuffle(T value, unsigned source) {
  return shown<T>(exchange(value), source % kWarp);
}

}  // namespace shim

#define threadIdx (shim::machine.thread)
#define blockIdx (shim::machine.block)
#define blockDim (shim::machine.block_size)
#define gridDim (shim::machine.grid_size)

inline void __syncthreads() { shim::wait(shim::Wait::kBlock); }
inline void __syncwarp(unsigned = ~0u) { shim::wait(shim::Wait::kWarp); }
template <class T>
T __shfl_xor_sync(unsigned, T value, int mask) {
  return shim::shuffle(value, shim::lane() ^ static_cast<unsigned>(mask));
}
template <class T>
T __shfl_up_sync(unsigned, T value, unsigned by) {
  return shim::shuffle(value, shim::lane() < by ? shim::lane() : shim::lane() - by);
}
template <class T>
T __shfl_sync(unsigned, T value, int source) {
  return shim::shuffle(value, static_cast<unsigned>(source));
}
template <class T>
T atomicAdd(T* at, T value) {  // threads take turns only where they wait
  const T before = *at;
  *at += value;
  return before;
}
inline float __fmul_rn(float a, float b) { return a * b; }
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }
using std::max;
using std::min;

#define DYN_SMEM(T, name) T* name = reinterpret_cast<T*>(shim::shared_memory())

#endif
