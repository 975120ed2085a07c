// An open device: its stream, its memory and the lists that it runs.
#ifndef QUIRE_CUDA_CONTEXT_H
#define QUIRE_CUDA_CONTEXT_H

#include <memory>
#include <string>

#include "graph.h"
#include "group.h"
#include "outcome.h"
#include "run.h"
#include "threads.h"
#include "weights.h"

namespace quire::cuda {

class Context {
 public:
  /// On a GPU, which the calling thread has selected; as a rank of a group, or with null alone.
  Context(int gpu, std::shared_ptr<RankGroup> group) : gpu_(gpu), group_(std::move(group)) {}
  Context(const Context&) = delete;
  ~Context();
  int open(int threads);
  /// Makes the GPU that of the calling thread, as every call must.
  int select() const { return checked(cudaSetDevice(gpu_), "selecting the device"); }

  int info(QrDeviceInfo* out) const;
  int allocate(uint64_t bytes, uint64_t* out) { return memory_.allocate(bytes, stream_, out); }
  int release(uint64_t address, uint64_t bytes);
  int allocate_host(uint64_t bytes, uint64_t* out) { return memory_.allocate_host(bytes, out); }
  int release_host(uint64_t address, uint64_t bytes);
  int write(uint64_t address, const void* from, uint64_t bytes);
  int read(void* to, uint64_t address, uint64_t bytes);
  int pack(const WeightSource& source, uint64_t to);
  int submit(const QrOp* ops, int32_t n, const QrStep& step);
  int reserve(const QrOp* ops, int32_t n, const QrStep& step);
  int wait();

  /// Lists that may be submitted and not waited for. Ranks wait for each other after every list.
  int queue() const { return group_ == nullptr ? kMostInFlight : 1; }
  int in_flight() const { return in_flight_; }
  /// Null: no rank of a group.
  RankGroup* group() const { return group_.get(); }
  /// QR_OK, or the failure after which the driver does nothing more for this process.
  int sound() const;

 private:
  static constexpr int kMostInFlight = 2;
  /// What a list in flight reads and writes of the host's memory, and when it began and ended.
  struct Flight {
    PinnedBuffer step;
    Outcome outcome;
    cudaEvent_t begun = nullptr, ended = nullptr;
  };

  const int gpu_;
  const std::shared_ptr<RankGroup> group_;
  cudaStream_t stream_ = nullptr;
  bool open_ = false;
  std::string fault_;
  Pool pool_;
  Memory memory_;
  Program program_;
  StepBuffer step_;
  Workspace workspace_;
  std::set<uint64_t> row_scaled_;  // addresses of weights
  CublasLt lt_;
  Graphs graphs_;
  Flight flights_[kMostInFlight];
  int next_ = 0, in_flight_ = 0;  // flights_[next_] is that of the next list

  /// Checks the step against the list, which becomes the device's.
  int check(const QrOp* ops, int32_t n, const QrStep& step);
  /// The step's arrays on the device, and all memory that it needs.
  int place(const QrStep& step, Flight& flight);
  int ranks() const { return group_ == nullptr ? 0 : group_->ranks(); }
  Flight& flight(int back) { return flights_[(next_ + kMostInFlight - back) % kMostInFlight]; }
  int enqueue_step(const QrStep& step, Flight& flight);
  int enqueue_carry(const Outcome& drawn);
  /// Waits for the stream; what fails here leaves the context unusable.
  int synchronise(const char* what);
  int sound_after(int status);
};

}  // namespace quire::cuda

#endif
