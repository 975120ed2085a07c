#include "context.h"

#include <stdio.h>

#include "check.h"
#include "rows.h"

namespace quire::cuda {
namespace {

/// Of the kernel that takes the most.
constexpr int kSharedBytes = 160 << 10;

int check_device(int gpu) {
  int major = 0, shared = 0;
  cudaError_t status = cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, gpu);
  if (status == cudaSuccess) status = cudaDeviceGetAttribute(&shared, cudaDevAttrMaxSharedMemoryPerBlockOptin, gpu);
  if (status != cudaSuccess) return checked(status, "properties of the device");
  if (major < 8 || shared < kSharedBytes) {
    return fail(QR_UNSUPPORTED,
                "the GPU has compute capability %d.x and %d KiB of shared memory a block; needed are 8.0 or newer and %d KiB "
                "(A100, H100, H200 and their successors)",
                major, shared >> 10, kSharedBytes >> 10);
  }
  return QR_OK;
}

}  // namespace

Context::~Context() {
  if (!open_) return;
  cudaStreamSynchronize(stream_);
  for (const Flight& flight : flights_) {
    if (flight.begun != nullptr) cudaEventDestroy(flight.begun);
    if (flight.ended != nullptr) cudaEventDestroy(flight.ended);
  }
  cudaStreamDestroy(stream_);
}

int Context::open(int threads) {
  int status = check_device(gpu_);
  if (status == QR_OK) status = checked(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "stream");
  if (status != QR_OK) return status;
  open_ = true;
  for (Flight& flight : flights_) {
    cudaError_t created = cudaEventCreate(&flight.begun);
    if (created == cudaSuccess) created = cudaEventCreate(&flight.ended);
    if (created != cudaSuccess) return checked(created, "event");
  }
  const int wanted = threads == 0 ? usable_cores() : threads;
  return pool_.start(wanted) ? QR_OK : fail(QR_NO_MEMORY, "cannot start %d threads", wanted);
}

int Context::info(QrDeviceInfo* out) const {
  size_t free = 0, total = 0;
  cudaDeviceProp properties;
  cudaError_t status = cudaMemGetInfo(&free, &total);
  if (status == cudaSuccess) status = cudaGetDeviceProperties(&properties, gpu_);
  if (status != cudaSuccess) return checked(status, "properties of the device");
  out->threads = pool_.threads();
  out->isa = QR_ISA_AUTO;
  out->queue = queue();
  out->memory_bytes = total;
  out->free_bytes = free;
  snprintf(out->name, sizeof out->name, "%.*s", static_cast<int>(sizeof out->name) - 1, properties.name);
  return QR_OK;
}

int Context::sound() const { return fault_.empty() ? QR_OK : fail(QR_FAULT, "%s", fault_.c_str()); }

int Context::synchronise(const char* what) { return sound_after(checked(cudaStreamSynchronize(stream_), what)); }

int Context::sound_after(int status) {
  if (status == QR_OK) return QR_OK;
  char text[512];
  last_error(text, sizeof text);
  fault_ = std::string(text) + "; the device can be used again after a restart of the process";
  return sound();
}

int Context::release(uint64_t address, uint64_t bytes) {
  if (memory_.release(address, bytes)) return QR_OK;
  return fail(QR_INVALID, "qr_free: not an allocation of this device");
}

int Context::release_host(uint64_t address, uint64_t bytes) {
  if (memory_.release_host(address, bytes)) return QR_OK;
  return fail(QR_INVALID, "qr_host_free: not an allocation of this device");
}

int Context::write(uint64_t address, const void* from, uint64_t bytes) {
  if (!memory_.holds(address, bytes)) return fail(QR_INVALID, "qr_write: not within an allocation of this device");
  const int status = checked(
      cudaMemcpyAsync(reinterpret_cast<void*>(address), from, bytes, cudaMemcpyHostToDevice, stream_), "copy to the device");
  return status == QR_OK ? synchronise("copy to the device") : status;
}

int Context::read(void* to, uint64_t address, uint64_t bytes) {
  if (!memory_.holds(address, bytes)) return fail(QR_INVALID, "qr_read: not within an allocation of this device");
  const int status = checked(
      cudaMemcpyAsync(to, reinterpret_cast<const void*>(address), bytes, cudaMemcpyDeviceToHost, stream_), "copy to the host");
  return status == QR_OK ? synchronise("copy to the host") : status;
}

int Context::pack(const WeightSource& source, uint64_t to) {
  uint64_t bytes = 0;
  const int status = weight_bytes(source.type, source.rows, source.cols, &bytes);
  if (status != QR_OK) return status;
  if (!memory_.holds(to, bytes)) return fail(QR_INVALID, "qr_pack: not within an allocation of this device");
  bool row_scaled = false;
  const int packed = pack_weight(pool_, source, to, stream_, &row_scaled);
  row_scaled_.erase(to);
  if (packed == QR_OK && row_scaled) row_scaled_.insert(to);
  return packed;
}

int Context::check(const QrOp* ops, int32_t n, const QrStep& step) {
  int status = QR_OK;
  if (!program_.is(ops, n)) {
    status = synchronise("the lists before another program");
    graphs_.clear();
    if (status == QR_OK) status = program_.compile(ops, n, ranks());
  }
  if (status == QR_OK) status = program_.check(step);
  return status == QR_OK ? check_carry(step, flight(1).outcome.samples()) : status;
}

int Context::place(const QrStep& step, Flight& flight) {
  bool grew = false;
  int status = step_.fill(program_, step, flight.step, stream_, &grew);
  if (status == QR_OK) status = workspace_.reserve(program_, step_.arrays(), ranks(), &grew);
  if (!grew) return status;
  const int after = synchronise("the lists that use memory which has moved");
  graphs_.clear();
  return status == QR_OK ? after : status;
}

int Context::reserve(const QrOp* ops, int32_t n, const QrStep& step) {
  int status = check(ops, n, step);
  if (status == QR_OK) status = place(step, flight(0));
  return status == QR_OK ? synchronise("the arrays of a step") : status;
}

int Context::enqueue_carry(const Outcome& drawn) {
  const StepArrays& step = step_.arrays();
  const CarryArgs args = {step.carry, drawn.tokens(), const_cast<int32_t*>(step.token), step.tokens, program_.vocab()};
  return step.carry == nullptr ? QR_OK : checked(carry_tokens(args, stream_), "tokens carried from the list before");
}

int Context::enqueue_step(const QrStep& step, Flight& now) {
  int status = place(step, now);
  if (status == QR_OK) status = checked(cudaEventRecord(now.begun, stream_), "begin of a list");
  if (status == QR_OK) status = enqueue_carry(flight(1).outcome);
  if (status != QR_OK) return status;
  const Rank rank = {group_.get(), gpu_};
  status = graphs_.run(step_.arrays(), stream_,
                       [&] { return enqueue(program_, step_.arrays(), workspace_, lt_, row_scaled_, rank, stream_); });
  if (status == QR_OK) status = now.outcome.start(step, step_.arrays(), workspace_.outcome, stream_);
  return status == QR_OK ? checked(cudaEventRecord(now.ended, stream_), "end of a list") : status;
}

int Context::submit(const QrOp* ops, int32_t n, const QrStep& step) {
  if (in_flight_ == queue()) return fail(QR_INVALID, "qr_submit: %d lists are running, no more fit the queue", in_flight_);
  int status = group_ == nullptr ? static_cast<int>(QR_OK) : group_->whole(gpu_);
  if (status == QR_OK) status = check(ops, n, step);
  if (status != QR_OK) return status;
  status = enqueue_step(step, flight(0));
  if (status == QR_OK) {
    in_flight_++;
    next_ = (next_ + 1) % kMostInFlight;
    return status;
  }
  char text[512];
  last_error(text, sizeof text);
  const int after = synchronise("a list that failed");  // what was started still uses the step's memory
  return after != QR_OK ? after : fail(status, "%s", text);
}

int Context::wait() {
  const Flight& oldest = flight(in_flight_--);
  int status = sound_after(checked(cudaEventSynchronize(oldest.ended), "the list"));
  if (status == QR_OK && group_ != nullptr) status = group_->whole(gpu_);
  float ms = 0;
  if (status == QR_OK) status = checked(cudaEventElapsedTime(&ms, oldest.begun, oldest.ended), "time of a list");
  if (status == QR_OK) oldest.outcome.finish(static_cast<int64_t>(1e6f * ms));
  return status;
}

}  // namespace quire::cuda
