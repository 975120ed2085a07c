// The most that the machine can do, measured by as many threads as a device has: reading memory, and multiply-adds on
// registers. The loops are inline assembly, of which the compiler drops nothing.
#ifndef QUIRE_LAB_PEAKS_H
#define QUIRE_LAB_PEAKS_H

#include <barrier>
#include <thread>

#include "lab.h"

#ifdef __x86_64__
#include <immintrin.h>
#endif

namespace lab {

/// The shortest of some runs of work(thread) on all threads at once, in seconds from the first start to the last end.
/// The work takes milliseconds, so that waking the threads does not count.
template <class Work>
double best_together(int threads, int runs, Work work) {
  using Clock = std::chrono::steady_clock;
  std::barrier together(threads);
  std::vector<Clock::time_point> start(static_cast<size_t>(threads)), end = start;
  double best = 1e9;
  std::vector<std::thread> team;
  for (size_t t = 0; t < static_cast<size_t>(threads); t++) {
    team.emplace_back([&, t] {
      for (int run = 0; run < runs; run++) {
        together.arrive_and_wait();
        start[t] = Clock::now();
        work(t);
        end[t] = Clock::now();
        together.arrive_and_wait();
        if (t > 0) continue;
        const auto all = *std::max_element(end.begin(), end.end()) - *std::min_element(start.begin(), start.end());
        best = std::min(best, std::chrono::duration<double>(all).count());
      }
    });
  }
  for (std::thread& thread : team) thread.join();
  return best;
}

constexpr uint64_t kReadStep = 128;
constexpr int kAccumulators = 12;
constexpr int kRounds = 1 << 20;

#ifdef __x86_64__

__attribute__((target("avx2"))) inline void read_avx2(const uint8_t* p, const uint8_t* end, uint64_t ahead) {
  for (; p < end; p += kReadStep) {
#pragma GCC unroll 4
    for (uint64_t i = 0; i < kReadStep; i += 32) {
      __m256i value;
      if (i % 64 == 0) __builtin_prefetch(p + ahead + i);
      asm volatile("vmovdqa %1, %0" : "=x"(value) : "m"(*reinterpret_cast<const __m256i*>(p + i)));
    }
  }
}

__attribute__((target("avx512f,avx512vnni"))) inline void int8_avx512() {
  const __m512i w = _mm512_set1_epi8(3), x = _mm512_set1_epi8(2);
  __m512i sum[kAccumulators];
  for (__m512i& s : sum) s = _mm512_setzero_si512();
  for (int round = 0; round < kRounds; round++) {
#pragma GCC unroll 12
    for (__m512i& s : sum) asm volatile("vpdpbusd %1, %2, %0" : "+v"(s) : "v"(x), "v"(w));
  }
}

__attribute__((target("avx2"))) inline void int8_avx2() {
  const __m256i w = _mm256_set1_epi8(3), x = _mm256_set1_epi8(2), ones = _mm256_set1_epi16(1);
  __m256i sum[kAccumulators];
  for (int round = 0; round < kRounds; round++) {
#pragma GCC unroll 12
    for (__m256i& s : sum) {
      asm volatile("vpmaddubsw %1, %2, %0\n\tvpmaddwd %3, %0, %0" : "=&x"(s) : "x"(x), "x"(w), "x"(ones));
    }
  }
}

__attribute__((target("avx512f"))) inline void f32_avx512() {
  const __m512 one = _mm512_set1_ps(1.0f);
  __m512 sum[kAccumulators];
  for (__m512& s : sum) s = _mm512_setzero_ps();
  for (int round = 0; round < kRounds; round++) {
#pragma GCC unroll 12
    for (__m512& s : sum) asm volatile("vfmadd231ps %1, %1, %0" : "+v"(s) : "v"(one));
  }
}

__attribute__((target("avx2,fma"))) inline void f32_avx2() {
  const __m256 one = _mm256_set1_ps(1.0f);
  __m256 sum[kAccumulators];
  for (__m256& s : sum) s = _mm256_setzero_ps();
  for (int round = 0; round < kRounds; round++) {
#pragma GCC unroll 12
    for (__m256& s : sum) asm volatile("vfmadd231ps %1, %1, %0" : "+x"(s) : "x"(one));
  }
}

#endif

/// Reads memory once.
inline void read_once(const uint8_t* p, uint64_t bytes, uint64_t ahead) {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx2")) return read_avx2(p, p + bytes, ahead);
#endif
  for (uint64_t i = 0; i < bytes; i += 8) {
    uint64_t value = *reinterpret_cast<const uint64_t*>(p + i);
    if (i % 64 == 0) __builtin_prefetch(p + i + ahead);
    asm volatile("" : "+r"(value));
  }
}

/// GB/s at which all threads read `bytes` of the device's memory again and again, at the best distance of prefetching.
inline double read_peak(qr_dev device, uint64_t bytes) {
  const int threads = info_of(device).threads;
  const uint64_t share = bytes / static_cast<uint64_t>(threads) / kReadStep * kReadStep;
  const uint64_t passes = std::max<uint64_t>(1, (200u << 20) / bytes);
  const uint64_t memory = allocate(device, bytes);
  memset(reinterpret_cast<void*>(memory), 1, bytes);  // its own pages
  double best = 1e9;
  for (uint64_t ahead : {512, 1024, 2048, 4096}) {
    best = std::min(best, best_together(threads, 12, [&](uint64_t thread) {
      const uint8_t* p = reinterpret_cast<const uint8_t*>(memory) + thread * share;
      for (uint64_t pass = 0; pass < passes; pass++) read_once(p, share, ahead);
    }));
  }
  require(qr_free(device, memory, bytes));
  return static_cast<double>(share) * threads * static_cast<double>(passes) / best / 1e9;
}

/// Giga-operations a second of all threads, a multiply-add being two of them.
template <class Loop>
double register_peak(int threads, int lanes, Loop loop) {
  const double best = best_together(threads, 200, [&](uint64_t) { loop(); });
  return 2.0 * lanes * kAccumulators * kRounds * threads / best / 1e9;
}

/// Dot products of bytes; 0 for levels without an instruction for them.
inline double int8_peak(qr_dev device) {
  const QrDeviceInfo info = info_of(device);
#ifdef __x86_64__
  if (info.isa >= QR_ISA_AVX512) return register_peak(info.threads, 64, int8_avx512);
  if (info.isa == QR_ISA_AVX2) return register_peak(info.threads, 32, int8_avx2);
#endif
  return 0;
}

/// float32 multiply-adds; 0 for levels without an instruction for them.
inline double f32_peak(qr_dev device) {
  const QrDeviceInfo info = info_of(device);
#ifdef __x86_64__
  if (info.isa >= QR_ISA_AVX512) return register_peak(info.threads, 16, f32_avx512);
  if (info.isa == QR_ISA_AVX2) return register_peak(info.threads, 8, f32_avx2);
#endif
  return 0;
}

}  // namespace lab

#endif
