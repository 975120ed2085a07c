// The functions of quire.h. No exception crosses this border; a handle is the address of a Context.
#include <memory>
#include <mutex>

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

int open_device(const QrDeviceOpts& opts, qr_dev* out) {
  if (opts.threads < 0 || opts.threads > 1024) {
    return fail(QR_INVALID, "threads is %d, allowed are 0 to 1024", opts.threads);
  }
  if (opts.isa != QR_ISA_AUTO) return fail(QR_INVALID, "an instruction set level is the CPU library's matter");
  if (device_count() == 0) return fail(QR_UNSUPPORTED, "no GPU: there is no NVIDIA driver, or it is too old, or it sees no device");
  auto context = std::make_unique<Context>();
  const int status = context->open(opts.threads);
  if (status != QR_OK) return status;
  const std::lock_guard<std::mutex> lock(registry_mutex);
  registry().insert(context.get());
  *out = reinterpret_cast<qr_dev>(context.release());
  return QR_OK;
}

/// use(context) of an open device that nothing has broken.
template <class Use>
int with(qr_dev handle, Use&& use) {
  return guarded([&] {
    Context* context = reinterpret_cast<Context*>(handle);
    {
      const std::lock_guard<std::mutex> lock(registry_mutex);
      if (!registry().contains(context)) return fail(QR_INVALID, "not an open device");
    }
    const int status = context->sound();
    return status == QR_OK ? use(*context) : status;
  });
}

/// The same while no list runs.
template <class Use>
int with_idle(qr_dev handle, const char* function, Use&& use) {
  return with(handle, [&](Context& context) {
    return context.running() ? fail(QR_INVALID, "%s: a list is running", function) : use(context);
  });
}

int close_device(qr_dev handle) {
  Context* context = reinterpret_cast<Context*>(handle);
  {
    const std::lock_guard<std::mutex> lock(registry_mutex);
    if (registry().erase(context) == 0) return fail(QR_INVALID, "not an open device");
  }
  delete context;
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
  return quire::guarded([&] { return quire::cuda::open_device(*opts, out); });
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
  return with_idle(dev, "qr_submit", [&](Context& context) { return context.submit(ops, n, *step); });
}

QR_EXPORT int qr_reserve(qr_dev dev, const QrOp* ops, int32_t n, const QrStep* step) {
  if (n < 0 || (n > 0 && ops == nullptr) || step == nullptr) return fail(QR_INVALID, "qr_reserve: bad argument");
  return with_idle(dev, "qr_reserve", [&](Context& context) { return context.reserve(ops, n, *step); });
}

QR_EXPORT int qr_wait(qr_dev dev) {
  return with(dev, [](Context& context) {
    return context.running() ? context.wait() : fail(QR_INVALID, "qr_wait: nothing was submitted");
  });
}
