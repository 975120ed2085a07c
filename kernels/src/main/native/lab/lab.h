// What the benchmarks share: their flags, a device, memory from it, and the best time of several runs.
#ifndef QUIRE_LAB_LAB_H
#define QUIRE_LAB_LAB_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "quire.h"

namespace lab {

inline std::string last_error() {
  char text[256];
  qr_last_error(text, sizeof text);
  return text;
}

inline void require(int status) {
  if (status == QR_OK) return;
  fprintf(stderr, "%s\n", last_error().c_str());
  exit(1);
}

inline const char* isa_name(int isa) {
  static const char* const names[] = {"auto", "scalar", "avx2", "avx512", "avx512_bf16"};
  return names[isa];
}

/// Names with commas between them.
inline std::vector<std::string> split(const std::string& names) {
  std::vector<std::string> parts;
  for (size_t from = 0, to; from <= names.size(); from = to + 1) {
    to = std::min(names.find(',', from), names.size());
    parts.push_back(names.substr(from, to - from));
  }
  return parts;
}

/// The flags of every program: [--isa avx512_bf16,avx512,avx2,scalar] [--threads N] [--types Q4_1,Q8_0] [--json FILE]. 0 threads are
/// as many as a device takes by itself; lines are appended to the file.
struct Options {
  std::vector<std::string> isas{"avx512_bf16", "avx512", "avx2", "scalar"}, types{"Q4_1", "Q8_0"};
  int threads = 0;
  FILE* json = nullptr;
};

inline Options options(int argc, char** argv) {
  Options o;
  for (int i = 1; i < argc; i += 2) {
    const std::string flag = argv[i], value = i + 1 < argc ? argv[i + 1] : "";
    if (flag == "--isa") {
      o.isas = split(value);
    } else if (flag == "--types") {
      o.types = split(value);
    } else if (flag == "--threads") {
      o.threads = atoi(value.c_str());
    } else if (flag != "--json" || (o.json = fopen(value.c_str(), "a")) == nullptr) {
      fprintf(stderr, "%s: cannot take %s %s\n", argv[0], flag.c_str(), value.c_str());
      exit(2);
    }
  }
  return o;
}

/// A device of a level; 0, and a word about it, where there is none.
inline qr_dev open(const std::string& isa, int threads) {
  for (int level : {QR_ISA_AVX512_BF16, QR_ISA_AVX512, QR_ISA_AVX2, QR_ISA_SCALAR}) {
    if (isa != isa_name(level)) continue;
    const QrDeviceOpts opts = {sizeof(QrDeviceOpts), threads, level, 0};
    qr_dev device = 0;
    if (qr_device_open(&opts, &device) != QR_OK) fprintf(stderr, "%s: %s\n", isa.c_str(), last_error().c_str());
    return device;
  }
  fprintf(stderr, "%s: no such level\n", isa.c_str());
  return 0;
}

inline QrDeviceInfo info_of(qr_dev device) {
  QrDeviceInfo info = {};
  info.size = sizeof info;
  require(qr_device_info(device, &info));
  return info;
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
  const int threads = info_of(device).threads;
  Times best = {1e9, 1e9};
  double total = 0;
  for (int run = 0; run < 3 || (total < 1.0 && run < 200); run++) {
    const auto start = std::chrono::steady_clock::now();
    const double processor = processor_seconds();
    require(qr_submit(device, ops.data(), static_cast<int32_t>(ops.size()), &step));
    require(qr_wait(device));
    const double wall = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
    best.wall = std::min(best.wall, wall);
    best.processor = std::min(best.processor, (processor_seconds() - processor) / threads);
    total += wall;
  }
  return best;
}

}  // namespace lab

#endif
