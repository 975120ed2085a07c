// What the benchmarks share: a device, memory from it, and the best time of several runs.
#ifndef QUIRE_LAB_LAB_H
#define QUIRE_LAB_LAB_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <vector>

#include "quire.h"

namespace lab {

inline void require(int status) {
  if (status == QR_OK) return;
  char text[256];
  qr_last_error(text, sizeof text);
  fprintf(stderr, "%s\n", text);
  exit(1);
}

inline qr_dev open(int isa, int threads) {
  const QrDeviceOpts opts = {sizeof(QrDeviceOpts), threads, isa, 0};
  qr_dev device = 0;
  return qr_device_open(&opts, &device) == QR_OK ? device : 0;
}

inline uint64_t allocate(qr_dev device, uint64_t bytes) {
  uint64_t address = 0;
  require(qr_alloc(device, bytes, &address));
  return address;
}

/// Pseudo-random bytes.
inline void fill(uint8_t* bytes, uint64_t n, uint32_t seed) {
  for (uint64_t i = 0; i < n; i++) {
    seed = seed * 1664525u + 1013904223u;
    bytes[i] = static_cast<uint8_t>(seed >> 24);
  }
}

inline void fill(float* values, uint64_t n, uint32_t seed) {
  for (uint64_t i = 0; i < n; i++) {
    seed = seed * 1664525u + 1013904223u;
    values[i] = static_cast<float>(seed >> 8) * 0x1p-23f - 1.0f;
  }
}

/// Seconds of the best run: by the clock on the wall, and of processor time per thread. The second tells what the kernels
/// need when other programs share the machine.
struct Times {
  double wall, processor;
};

inline double processor_seconds() {
  timespec now;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
  return static_cast<double>(now.tv_sec) + 1e-9 * static_cast<double>(now.tv_nsec);
}

/// The shortest of the runs that fit into about a second (at least three).
inline Times best_time(qr_dev device, const std::vector<QrOp>& ops, const QrStep& step) {
  QrDeviceInfo info = {};
  info.size = sizeof info;
  require(qr_device_info(device, &info));
  Times best = {1e9, 1e9};
  double total = 0;
  for (int run = 0; run < 3 || (total < 1.0 && run < 200); run++) {
    const auto start = std::chrono::steady_clock::now();
    const double processor = processor_seconds();
    require(qr_submit(device, ops.data(), static_cast<int32_t>(ops.size()), &step));
    require(qr_wait(device));
    const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best.wall = std::min(best.wall, wall);
    best.processor = std::min(best.processor, (processor_seconds() - processor) / info.threads);
    total += wall;
  }
  return best;
}

inline const char* isa_name(int isa) {
  return isa == QR_ISA_SCALAR ? "scalar" : isa == QR_ISA_AVX2 ? "avx2" : "avx512";
}

}  // namespace lab

#endif
