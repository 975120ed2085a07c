// The functions of quire.h. No exception crosses this border; a handle is the address of a Context.
#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "context.h"

#define QR_EXPORT extern "C" __attribute__((visibility("default")))

namespace quire::cuda {
namespace {

std::mutex registry_mutex;
std::set<Context*>& registry() {
  static std::set<Context*> open;
  return open;
}

int device_count() {
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();
    return 0;
  }
  return count;
}

/// GPUs 0 to ranks - 1, joined where they are a group; all or none.
int open_devices(const QrDeviceOpts& opts, int32_t ranks, bool grouped, qr_dev* out) {
  if (opts.threads < 0 || opts.threads > 1024) {
    return fail(QR_INVALID, "threads is %d, allowed are 0 to 1024", opts.threads);
  }
  if (opts.isa != QR_ISA_AUTO) return fail(QR_INVALID, "an instruction set level is the CPU library's matter");
  const int count = device_count();
  if (count == 0) return fail(QR_UNSUPPORTED, "no GPU: there is no NVIDIA driver, or it is too old, or it sees no device");
  if (count < ranks) return fail(QR_UNSUPPORTED, "%d ranks, but this process sees %d GPUs", ranks, count);
  const auto group = grouped ? std::make_shared<RankGroup>() : nullptr;
  int status = grouped ? group->open(ranks) : static_cast<int>(QR_OK);
  const int threads = opts.threads == 0 ? usable_cores() : opts.threads;
  std::vector<std::unique_ptr<Context>> contexts;
  for (int32_t r = 0; r < ranks && status == QR_OK; r++) {
    status = checked(cudaSetDevice(r), "opening the device");
    if (status != QR_OK) break;
    contexts.push_back(std::make_unique<Context>(r, group));
    status = contexts.back()->open(std::max(1, threads / ranks + (r < threads % ranks ? 1 : 0)));
  }
  if (status != QR_OK) return status;
  const std::lock_guard<std::mutex> lock(registry_mutex);
  for (int32_t r = 0; r < ranks; r++) {
    registry().insert(contexts[static_cast<size_t>(r)].get());
    out[r] = reinterpret_cast<qr_dev>(contexts[static_cast<size_t>(r)].release());
  }
  return QR_OK;
}

/// Whether it is an open device.
bool known(Context* context) {
  const std::lock_guard<std::mutex> lock(registry_mutex);
  return registry().contains(context);
}

/// use(context) of an open device that nothing has broken, on its GPU.
template <class Use>
int with(qr_dev handle, Use&& use) {
  return guarded([&] {
    Context* context = reinterpret_cast<Context*>(handle);
    if (!known(context)) return fail(QR_INVALID, "not an open device");
    int status = context->sound();
    if (status == QR_OK) status = context->select();
    return status == QR_OK ? use(*context) : status;
  });
}

/// The same while no list runs.
template <class Use>
int with_idle(qr_dev handle, const char* function, Use&& use) {
  return with(handle, [&](Context& context) {
    return context.in_flight() > 0 ? fail(QR_INVALID, "%s: a list is running", function) : use(context);
  });
}

int close_device(qr_dev handle) {
  Context* context = reinterpret_cast<Context*>(handle);
  {
    const std::lock_guard<std::mutex> lock(registry_mutex);
    if (registry().erase(context) == 0) return fail(QR_INVALID, "not an open device");
  }
  if (context->group() != nullptr) context->group()->abort();
  const int status = context->select();
  delete context;
  return status;
}

int abort_group(qr_dev handle) {
  Context* context = reinterpret_cast<Context*>(handle);
  if (!known(context)) return fail(QR_INVALID, "not an open device");
  if (context->group() == nullptr) return fail(QR_INVALID, "qr_group_abort: no rank of a group");
  context->group()->abort();
  return QR_OK;
}

}  // namespace
}  // namespace quire::cuda

using quire::fail;
using quire::cuda::Context;
using quire::cuda::with;
using quire::cuda::with_idle;

QR_EXPORT int qr_abi_version(void) { return QR_ABI_VERSION; }

QR_EXPORT int qr_device_count(void) { return quire::cuda::device_count(); }

QR_EXPORT int qr_device_open(const QrDeviceOpts* opts, qr_dev* out) {
  if (opts == nullptr || out == nullptr || opts->size != static_cast<int32_t>(sizeof(QrDeviceOpts))) {
    return fail(QR_INVALID, "qr_device_open: bad argument");
  }
  return quire::guarded([&] { return quire::cuda::open_devices(*opts, 1, false, out); });
}

QR_EXPORT int qr_group_open(const QrDeviceOpts* opts, int32_t ranks, qr_dev* out) {
  if (opts == nullptr || out == nullptr || opts->size != static_cast<int32_t>(sizeof(QrDeviceOpts))) {
    return fail(QR_INVALID, "qr_group_open: bad argument");
  }
  if (ranks < 1 || ranks > QR_MAX_RANKS) return fail(QR_INVALID, "%d ranks, allowed are 1 to %d", ranks, QR_MAX_RANKS);
  return quire::guarded([&] { return quire::cuda::open_devices(*opts, ranks, true, out); });
}

QR_EXPORT int qr_group_abort(qr_dev dev) {
  return quire::guarded([&] { return quire::cuda::abort_group(dev); });
}

QR_EXPORT int qr_device_info(qr_dev dev, QrDeviceInfo* out) {
  if (out == nullptr || out->size != static_cast<int32_t>(sizeof(QrDeviceInfo))) {
    return fail(QR_INVALID, "qr_device_info: bad argument");
  }
  return with(dev, [&](Context& context) { return context.info(out); });
}

QR_EXPORT int qr_device_close(qr_dev dev) {
  return quire::guarded([&] { return quire::cuda::close_device(dev); });
}

QR_EXPORT int qr_alloc(qr_dev dev, uint64_t bytes, uint64_t* out) {
  if (bytes == 0 || out == nullptr) return fail(QR_INVALID, "qr_alloc: bad argument");
  return with(dev, [&](Context& context) { return context.allocate(bytes, out); });
}

QR_EXPORT int qr_free(qr_dev dev, uint64_t address, uint64_t bytes) {
  return with_idle(dev, "qr_free", [&](Context& context) { return context.release(address, bytes); });
}

QR_EXPORT int qr_host_alloc(qr_dev dev, uint64_t bytes, uint64_t* out) {
  if (bytes == 0 || out == nullptr) return fail(QR_INVALID, "qr_host_alloc: bad argument");
  return with(dev, [&](Context& context) { return context.allocate_host(bytes, out); });
}

QR_EXPORT int qr_host_free(qr_dev dev, uint64_t address, uint64_t bytes) {
  return with_idle(dev, "qr_host_free", [&](Context& context) { return context.release_host(address, bytes); });
}

QR_EXPORT int qr_write(qr_dev dev, uint64_t address, const void* src, uint64_t bytes) {
  if (src == nullptr) return fail(QR_INVALID, "qr_write: bad argument");
  return with_idle(dev, "qr_write", [&](Context& context) { return context.write(address, src, bytes); });
}

QR_EXPORT int qr_read(qr_dev dev, void* dst, uint64_t address, uint64_t bytes) {
  if (dst == nullptr) return fail(QR_INVALID, "qr_read: bad argument");
  return with_idle(dev, "qr_read", [&](Context& context) { return context.read(dst, address, bytes); });
}

QR_EXPORT int qr_last_error(char* out, int32_t capacity) { return quire::last_error(out, capacity); }

QR_EXPORT int qr_packed_bytes(int32_t type, int64_t rows, int64_t cols, uint64_t* out) {
  if (out == nullptr) return fail(QR_INVALID, "qr_packed_bytes: bad argument");
  return quire::cuda::weight_bytes(type, rows, cols, out);
}

QR_EXPORT int qr_pack(qr_dev dev, int32_t type, const void* src, int64_t rows, int64_t cols, uint64_t dst) {
  if (src == nullptr) return fail(QR_INVALID, "qr_pack: bad argument");
  const quire::cuda::WeightSource source = {type, static_cast<const uint8_t*>(src), rows, cols};
  return with_idle(dev, "qr_pack", [&](Context& context) { return context.pack(source, dst); });
}

QR_EXPORT int qr_submit(qr_dev dev, const QrOp* ops, int32_t n, const QrStep* step) {
  if (n < 0 || (n > 0 && ops == nullptr) || step == nullptr) return fail(QR_INVALID, "qr_submit: bad argument");
  return with(dev, [&](Context& context) { return context.submit(ops, n, *step); });
}

QR_EXPORT int qr_reserve(qr_dev dev, const QrOp* ops, int32_t n, const QrStep* step) {
  if (n < 0 || (n > 0 && ops == nullptr) || step == nullptr) return fail(QR_INVALID, "qr_reserve: bad argument");
  return with_idle(dev, "qr_reserve", [&](Context& context) { return context.reserve(ops, n, *step); });
}

QR_EXPORT int qr_wait(qr_dev dev) {
  return with(dev, [](Context& context) {
    return context.in_flight() > 0 ? context.wait() : fail(QR_INVALID, "qr_wait: nothing was submitted");
  });
}
