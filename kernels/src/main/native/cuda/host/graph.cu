#include "graph.h"

namespace quire::cuda {

#ifdef QR_SHIM

bool Graphs::wanted(const StepArrays&) { return false; }
int Graphs::run(const StepArrays&, cudaStream_t, const std::function<int()>& enqueue) { return enqueue(); }
void Graphs::clear() {}

#else

namespace {

constexpr int kMostSequences = 256;
constexpr size_t kMostGraphs = 512;

/// All that the launches depend on beside the list and the addresses of the buffers.
std::vector<int32_t> shape_of(const StepArrays& step) {
  std::vector<int32_t> shape = {step.tokens, step.sequences, step.logits, step.table_stride, step.samples, step.sample_kinds};
  for (const StepPlan& plan : step.plans) {
    shape.insert(shape.end(), {plan.capacity.decode, plan.capacity.prefill, plan.capacity.merges});
  }
  return shape;
}

}  // namespace

bool Graphs::wanted(const StepArrays& step) {
  return step.copies == 0 && step.swaps_out == 0 && step.swaps_in == 0 && step.tokens > 0 && step.tokens == step.sequences &&
         step.tokens <= kMostSequences;
}

cudaGraphExec_t Graphs::capture(cudaStream_t stream, const std::function<int()>& enqueue) {
  if (cudaStreamBeginCapture(stream, cudaStreamCaptureModeThreadLocal) != cudaSuccess) return nullptr;
  const int enqueued = enqueue();
  cudaGraph_t graph = nullptr;
  cudaGraphExec_t executable = nullptr;
  if (cudaStreamEndCapture(stream, &graph) == cudaSuccess && enqueued == QR_OK &&
      cudaGraphInstantiate(&executable, graph, 0) != cudaSuccess) {
    executable = nullptr;
  }
  if (graph != nullptr) cudaGraphDestroy(graph);
  cudaGetLastError();
  return executable;
}

int Graphs::run(const StepArrays& step, cudaStream_t stream, const std::function<int()>& enqueue) {
  if (!usable_ || !wanted(step)) return enqueue();
  const std::vector<int32_t> shape = shape_of(step);
  auto known = known_.find(shape);
  if (known == known_.end()) {
    if (known_.size() >= kMostGraphs) clear();
    cudaGraphExec_t captured = capture(stream, enqueue);
    usable_ = captured != nullptr;
    if (!usable_) return enqueue();
    known = known_.emplace(shape, captured).first;
  }
  return checked(cudaGraphLaunch(known->second, stream), "launch of a graph");
}

void Graphs::clear() {
  for (const auto& [shape, executable] : known_) cudaGraphExecDestroy(executable);
  known_.clear();
}

#endif

}  // namespace quire::cuda
