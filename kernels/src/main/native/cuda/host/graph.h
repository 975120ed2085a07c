// Steps of decodes as captured graphs: one launch instead of hundreds. A graph is replayed for every step of its shape;
// what differs from step to step lies in the step's buffer.
#ifndef QUIRE_CUDA_GRAPH_H
#define QUIRE_CUDA_GRAPH_H

#include <functional>
#include <map>
#include <vector>

#include "step.h"

namespace quire::cuda {

class Graphs {
 public:
  Graphs() = default;
  Graphs(const Graphs&) = delete;
  ~Graphs() { clear(); }
  /// Whether a step is worth a graph: one token of each sequence, of not too many, and no blocks copied or swapped.
  static bool wanted(const StepArrays& step);
  /// Runs what `enqueue` puts on the stream: by the graph of this shape, which is captured at its first step. Where
  /// capturing fails, as it is.
  int run(const StepArrays& step, cudaStream_t stream, const std::function<int()>& enqueue);
  /// When addresses or the list have changed.
  void clear();

 private:
#ifndef QR_SHIM
  std::map<std::vector<int32_t>, cudaGraphExec_t> known_;
  bool usable_ = true;

  cudaGraphExec_t capture(cudaStream_t stream, const std::function<int()>& enqueue);
#endif
};

}  // namespace quire::cuda

#endif
