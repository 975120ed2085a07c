// Device memory, timing by CUDA events around replays of a graph, and the table of results.
#ifndef QUIRE_BENCH_TIMING_H
#define QUIRE_BENCH_TIMING_H

#include <cuda_runtime.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <algorithm>
#include <string>
#include <vector>

namespace quire::bench {

inline void must(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  fprintf(stderr, "%s: %s\n", what, cudaGetErrorString(status));
  exit(1);
}

/// Numbers in [-scale, scale) by a hash of the index, rounded to bf16.
static __global__ void fill_bf16_kernel(uint16_t* out, int64_t n, float scale, uint32_t seed) {
  for (int64_t i = static_cast<int64_t>(blockIdx.x) * blockDim.x + threadIdx.x; i < n;
       i += static_cast<int64_t>(gridDim.x) * blockDim.x) {
    uint32_t h = static_cast<uint32_t>(i) * 0x9E3779B1u + static_cast<uint32_t>(i >> 32) * 0x85EBCA77u + seed;
    h = (h ^ h >> 15) * 0x2C1B3C6Du;
    h = (h ^ h >> 12) * 0x297A2D39u;
    h ^= h >> 15;
    const float value = scale * (static_cast<float>(h) * (2.0f / 4294967296.0f) - 1.0f);
    out[i] = static_cast<uint16_t>((__float_as_uint(value) + 0x8000u) >> 16);
  }
}

/// Device memory that lives as long as the program, random or as uploaded.
template <class T>
T* reserve(int64_t n) {
  void* p = nullptr;
  must(cudaMalloc(&p, static_cast<size_t>(n) * sizeof(T)), "allocate");
  return static_cast<T*>(p);
}
template <class T>
T* random_bf16(int64_t n, float scale, uint32_t seed) {
  T* p = reserve<T>(n);
  fill_bf16_kernel<<<2048, 256>>>(reinterpret_cast<uint16_t*>(p), n, scale, seed);
  must(cudaGetLastError(), "fill");
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

/// Median microseconds of one call(i), from replays of a graph of `calls` of them. i rotates the caller's inputs.
template <class Call>
double time_us(int calls, int replays, Call call) {
  must(cudaDeviceSynchronize(), "settle");
  call(0);  // outside the capture: loads modules
  must(cudaStreamSynchronize(stream()), "first call");
  cudaGraph_t graph;
  cudaGraphExec_t runnable;
  must(cudaStreamBeginCapture(stream(), cudaStreamCaptureModeThreadLocal), "capture");
  for (int i = 0; i < calls; i++) call(i);
  must(cudaStreamEndCapture(stream(), &graph), "end of capture");
  must(cudaGraphInstantiate(&runnable, graph, 0), "instantiate");
  cudaEvent_t begin, end;
  cudaEventCreate(&begin);
  cudaEventCreate(&end);
  std::vector<double> times;
  for (int r = 0; r < replays + 2; r++) {
    cudaEventRecord(begin, stream());
    must(cudaGraphLaunch(runnable, stream()), "launch");
    cudaEventRecord(end, stream());
    must(cudaEventSynchronize(end), "replay");
    float ms = 0;
    cudaEventElapsedTime(&ms, begin, end);
    if (r >= 2) times.push_back(1000.0 * ms / calls);
  }
  cudaEventDestroy(begin);
  cudaEventDestroy(end);
  cudaGraphExecDestroy(runnable);
  cudaGraphDestroy(graph);
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

/// The ceilings of this card, measured first.
struct Ceilings {
  double copy = 0;    // bytes per second, read and written
  double matmul = 0;  // FLOP per second
};
inline Ceilings ceilings;

/// One line of the table, on standard output as Markdown and in $QR_JSON as JSON.
inline void row(const std::string& name, double us, const std::string& rate, const std::string& share,
                const std::string& predicted) {
  static FILE* json = getenv("QR_JSON") != nullptr ? fopen(getenv("QR_JSON"), "w") : nullptr;
  printf("| %s | %.1f | %s | %s | %s |\n", name.c_str(), us, rate.c_str(), share.c_str(), predicted.c_str());
  fflush(stdout);
  if (json == nullptr) return;
  fprintf(json, "{\"name\": \"%s\", \"us\": %.2f, \"rate\": \"%s\", \"share\": \"%s\", \"predicted\": \"%s\"}\n", name.c_str(),
          us, rate.c_str(), share.c_str(), predicted.c_str());
  fflush(json);
}
inline std::string text(const char* format, double value) {
  char out[64];
  snprintf(out, sizeof out, format, value);
  return out;
}
inline void row_of_bytes(const std::string& name, double us, double bytes, const std::string& predicted) {
  const double rate = bytes / us * 1e6;
  row(name, us, text("%.0f GB/s", rate / 1e9), text("%.0f %% of copy", 100 * rate / ceilings.copy), predicted);
}
inline void row_of_flops(const std::string& name, double us, double flops, const std::string& share,
                         const std::string& predicted) {
  row(name, us, text("%.0f TFLOP/s", flops / us / 1e6), share, predicted);
}

}  // namespace quire::bench

#endif
