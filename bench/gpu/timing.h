// Device memory, timing by CUDA events around replays of a graph, and the table of results. Through the shim, on the CPU,
// all of it runs once at small sizes, and the times mean nothing.
#ifndef QUIRE_BENCH_TIMING_H
#define QUIRE_BENCH_TIMING_H

#ifdef QR_SHIM
#include "shim/runtime_shim.h"
#else
#include <cuda_runtime.h>
#endif
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "device.cuh"

namespace quire::bench {

#ifdef QR_SHIM
constexpr bool kShim = true;
#else
constexpr bool kShim = false;
#endif

/// A size, and the one that stands for it in the shim.
constexpr int sized(int full, int small) { return kShim ? std::min(full, small) : full; }
constexpr int kFillBlocks = sized(2048, 2);

/// Rows whose result was not that of the plain kernel, or that nobody predicted.
inline int wrong = 0;

inline void must(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(status));
  exit(1);
}

/// Numbers in [-scale, scale) by a hash of the index, rounded to bf16.
static __global__ void fill_bf16_kernel(cuda::bf16* out, int64_t n, float scale, uint32_t seed) {
  cuda::start_after_previous();
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n;
       i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    uint32_t h = static_cast<uint32_t>(i) * 0x9E3779B1u + static_cast<uint32_t>(i >> 32) * 0x85EBCA77u + seed;
    h = (h ^ h >> 15) * 0x2C1B3C6Du;
    h = (h ^ h >> 12) * 0x297A2D39u;
    h ^= h >> 15;
    const float value = scale * (static_cast<float>(h) * (2.0f / 4294967296.0f) - 1.0f);
    out[i] = cuda::to_bf16(value);
  }
}

inline void fill(cuda::bf16* out, int64_t n, float scale, uint32_t seed) {
  LAUNCH(fill_bf16_kernel, kFillBlocks, 256, 0, nullptr, out, n, scale, seed);
  must(cudaGetLastError(), "fill");
}

/// Device memory that lives as long as the program, random or as uploaded.
template <class T>
T* reserve(int64_t n) {
  void* p = nullptr;
  must(cudaMalloc(&p, static_cast<size_t>(n) * sizeof(T)), "allocate");
  return static_cast<T*>(p);
}
inline cuda::bf16* random_bf16(int64_t n, float scale, uint32_t seed) {
  cuda::bf16* p = reserve<cuda::bf16>(n);
  fill(p, n, scale, seed);
  return p;
}
template <class T>
T* upload(const std::vector<T>& values) {
  T* p = reserve<T>(static_cast<int64_t>(values.size()) + 1);
  must(cudaMemcpy(p, values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice), "upload");
  return p;
}

inline cudaStream_t stream() {
  static const cudaStream_t s = [] {
    cudaStream_t made;
    must(cudaStreamCreateWithFlags(&made, cudaStreamNonBlocking), "stream");
    return made;
  }();
  return s;
}

/// Calls captured as a graph, with the events to time it.
class Replay {
 public:
  template <class Call>
  Replay(int calls, Call call) : calls_(kShim ? 1 : calls) {
    must(cudaDeviceSynchronize(), "settle");
    call(0);  // outside the capture: loads modules
    must(cudaStreamSynchronize(stream()), "first call");
#ifndef QR_SHIM
    cudaGraph_t graph;
    must(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal), "capture");
    for (int i = 0; i < calls_; i++) call(i);
    must(cudaStreamEndCapture(stream(), &graph), "end of capture");
    must(cudaGraphGetNodes(graph, nullptr, &nodes_), "nodes");
    must(cudaGraphInstantiate(&runnable_, graph, 0), "instantiate");
    cudaGraphDestroy(graph);
#endif
  }
  Replay(const Replay&) = delete;
  ~Replay() {
#ifndef QR_SHIM
    cudaGraphExecDestroy(runnable_);
#endif
  }
  void launch() const {
#ifndef QR_SHIM
    must(cudaGraphLaunch(runnable_, stream()), "launch");
#endif
  }
  /// Median microseconds of one call, the device idle before each for `pause_us`.
  double time_us(int replays, unsigned pause_us = 0) const {
#ifdef QR_SHIM
    (void)replays, (void)pause_us;
    return 1;
#else
    cudaEvent_t begin, end;
    cudaEventCreate(&begin);
    cudaEventCreate(&end);
    std::vector<double> times;
    for (int r = 0; r < replays + 2; r++) {
      if (pause_us > 0) usleep(pause_us);
      cudaEventRecord(begin, stream());
      launch();
      cudaEventRecord(end, stream());
      must(cudaEventSynchronize(end), "replay");
      float ms = 0;
      cudaEventElapsedTime(&ms, begin, end);
      if (r >= 2) times.push_back(1000.0 * ms / calls_);
    }
    cudaEventDestroy(begin);
    cudaEventDestroy(end);
    std::sort(times.begin(), times.end());
    return times[times.size() / 2];
#endif
  }
  /// Kernels of one call.
  double kernels() const { return static_cast<double>(nodes_) / calls_; }

 private:
  int calls_;
  size_t nodes_ = 0;
#ifndef QR_SHIM
  cudaGraphExec_t runnable_ = nullptr;
#endif
};

/// Median microseconds of one call(i), from replays of a graph of `calls` of them. i rotates the caller's inputs.
template <class Call>
double time_us(int calls, int replays, Call call) {
  return Replay(calls, call).time_us(replays);
}

/// The ceilings of this card, measured first.
struct Ceilings {
  double copy = 1;    // bytes per second, read and written
  double matmul = 1;  // FLOP per second
  double boundary_us = 0;  // from a kernel to the next in a graph
};
inline Ceilings ceilings;

/// The predictions, of the file that $QR_PREDICTIONS names: lines of row, figure and reason, parted by tabs.
inline std::string predicted(const std::string& name) {
  static const std::map<std::string, std::string> all = [] {
    std::map<std::string, std::string> read;
    FILE* file = getenv("QR_PREDICTIONS") != nullptr ? fopen(getenv("QR_PREDICTIONS"), "r") : nullptr;
    char line[1024], row[256], figure[256];
    while (file != nullptr && fgets(line, sizeof line, file) != nullptr) {
      if (sscanf(line, "%255[^\t]\t%255[^\t\n]", row, figure) == 2) read[row] = figure;
    }
    if (file != nullptr) fclose(file);
    return read;
  }();
  const auto found = all.find(name);
  if (found != all.end()) return found->second;
  printf("WRONG %s: nobody predicted it\n", name.c_str());
  wrong++;
  return "";
}

/// One line of the table, on standard output as Markdown and in $QR_JSON as JSON.
inline void row(const std::string& name, double us, const std::string& rate, const std::string& share) {
  static FILE* json = getenv("QR_JSON") != nullptr ? fopen(getenv("QR_JSON"), "w") : nullptr;
  const std::string expected = predicted(name);
  printf("| %s | %.1f | %s | %s | %s |\n", name.c_str(), us, rate.c_str(), share.c_str(), expected.c_str());
  fflush(stdout);
  if (json == nullptr) return;
  fprintf(json, "{\"name\": \"%s\", \"us\": %.2f, \"rate\": \"%s\", \"share\": \"%s\", \"predicted\": \"%s\"}\n", name.c_str(),
          us, rate.c_str(), share.c_str(), expected.c_str());
  fflush(json);
}
inline std::string text(const char* format, double value) {
  char out[64];
  snprintf(out, sizeof out, format, value);
  return out;
}
inline void row_of_bytes(const std::string& name, double us, double bytes) {
  const double rate = bytes / us * 1e6;
  row(name, us, text("%.0f GB/s", rate / 1e9), text("%.0f %% of copy", 100 * rate / ceilings.copy));
}
inline void row_of_flops(const std::string& name, double us, double flops, const std::string& share) {
  row(name, us, text("%.0f TFLOP/s", flops / us / 1e6), share);
}

}  // namespace quire::bench

#endif
