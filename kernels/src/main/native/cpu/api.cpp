// The functions of quire.h. No exception crosses this border; a handle is the address of a Device.
#include <stdlib.h>
#include <string.h>

#include <algorithm>
#include <memory>
#include <set>
#include <vector>

#include "device.h"

#define QR_EXPORT extern "C" __attribute__((visibility("default")))

namespace quire {
namespace {

std::mutex registry_mutex;
std::set<Device*>& registry() {
  static std::set<Device*> open;
  return open;
}

Device* device_of(qr_dev handle) {
  const std::lock_guard<std::mutex> lock(registry_mutex);
  Device* device = reinterpret_cast<Device*>(handle);
  if (registry().contains(device)) return device;
  fail(QR_INVALID, "not an open device");
  return nullptr;
}

/// By QR_ISA_*.
constexpr const char* kLevelNames[] = {"auto", "scalar", "avx2", "avx512", "avx512_bf16"};
constexpr int kLevels = static_cast<int>(std::size(kLevelNames));

int isa_wanted(int isa) {
  const char* name = getenv("QUIRE_CPU_ISA");
  if (isa != QR_ISA_AUTO || name == nullptr || *name == 0) return isa;
  for (int level = 0; level < kLevels; level++) {
    if (strcmp(name, kLevelNames[level]) == 0) return level;
  }
  return -1;
}

/// One device per rank, of a group where there are several; all or none.
int open_devices(const QrDeviceOpts& opts, int32_t ranks, bool grouped, qr_dev* out) {
  if (opts.threads < 0 || opts.threads > 1024) {
    return fail(QR_INVALID, "threads is %d, allowed are 0 to 1024", opts.threads);
  }
  const int isa = isa_wanted(opts.isa);
  if (isa < QR_ISA_AUTO || isa >= kLevels) {
    return fail(QR_INVALID, "unknown instruction set level; QUIRE_CPU_ISA is auto, scalar, avx2, avx512 or avx512_bf16");
  }
  const int threads = opts.threads == 0 ? usable_cores() : opts.threads;
  const auto group = grouped ? std::make_shared<RankGroup>(ranks) : nullptr;
  std::vector<std::unique_ptr<Device>> devices;
  for (int32_t r = 0; r < ranks; r++) {
    auto device = std::make_unique<Device>();
    device->kernels = kernels_for(isa, &device->isa);
    if (device->kernels == nullptr) {
      return fail(QR_UNSUPPORTED, "this machine lacks the instructions of level %s", kLevelNames[isa]);
    }
    const int mine = std::max(1, threads / ranks + (r < threads % ranks ? 1 : 0));
    if (!device->pool.start(mine)) return fail(QR_NO_MEMORY, "cannot start %d threads", mine);
    device->group = group;
    device->rank = r;
    devices.push_back(std::move(device));
  }
  const std::lock_guard<std::mutex> lock(registry_mutex);
  for (int32_t r = 0; r < ranks; r++) {
    registry().insert(devices[static_cast<size_t>(r)].get());
    out[r] = reinterpret_cast<qr_dev>(devices[static_cast<size_t>(r)].release());
  }
  return QR_OK;
}

/// QR_OK, or the failure of a rank whose group is broken.
int whole(const Device& device) {
  if (device.group == nullptr || !device.group->broken()) return QR_OK;
  return fail(QR_FAULT, "rank %d of %d: the group was ended, or its ranks ran different lists", device.rank,
              device.group->ranks());
}

/// Bytes of a packed matrix, or a failure.
int packed_size(int32_t type, int64_t rows, int64_t cols, uint64_t* out) {
  const Format* f = format_of(type);
  if (f == nullptr) return fail(QR_UNSUPPORTED, "weights of type %d are not supported", type);
  if (rows < 1 || cols < 1 || rows >= (1ll << 31) || cols >= (1ll << 31) || cols % f->block_cols != 0) {
    return fail(QR_INVALID, "a matrix of type %d cannot be %lld x %lld", type,
                static_cast<long long>(rows), static_cast<long long>(cols));
  }
  const __int128 bytes = static_cast<__int128>(tile_layout(*packed_format_of(type), cols).bytes) * tile_count(rows);
  if (bytes > (static_cast<__int128>(1) << 46)) return fail(QR_NO_MEMORY, "matrix too large");
  *out = static_cast<uint64_t>(bytes);
  return QR_OK;
}

struct PackJob {
  Pool& pool;
  const Format& format;
  const uint8_t* source;
  int64_t rows, cols;
  uint8_t* packed;
};

void pack_worker(void* context, Worker&) {
  const PackJob& job = *static_cast<const PackJob*>(context);
  job.pool.parallel(tile_count(job.rows), [&job](int64_t tile) {
    pack_tile(job.format, job.source, job.rows, job.cols, tile, job.packed);
  });
}

void list_worker(void* context, Worker& worker) { run_list(*static_cast<Device*>(context), worker); }

}  // namespace

}  // namespace quire

using quire::fail;

QR_EXPORT int qr_abi_version(void) { return QR_ABI_VERSION; }

/// The processor is always there.
QR_EXPORT int qr_device_count(void) { return 1; }

QR_EXPORT int qr_device_open(const QrDeviceOpts* opts, qr_dev* out) {
  if (opts == nullptr || out == nullptr || opts->size != static_cast<int32_t>(sizeof(QrDeviceOpts))) {
    return fail(QR_INVALID, "qr_device_open: bad argument");
  }
  return quire::guarded([&] { return quire::open_devices(*opts, 1, false, out); });
}

QR_EXPORT int qr_group_open(const QrDeviceOpts* opts, int32_t ranks, qr_dev* out) {
  if (opts == nullptr || out == nullptr || opts->size != static_cast<int32_t>(sizeof(QrDeviceOpts))) {
    return fail(QR_INVALID, "qr_group_open: bad argument");
  }
  if (ranks < 1 || ranks > QR_MAX_RANKS) return fail(QR_INVALID, "%d ranks, allowed are 1 to %d", ranks, QR_MAX_RANKS);
  return quire::guarded([&] { return quire::open_devices(*opts, ranks, true, out); });
}

QR_EXPORT int qr_group_abort(qr_dev dev) {
  quire::Device* device = quire::device_of(dev);
  if (device == nullptr) return QR_INVALID;
  if (device->group == nullptr) return fail(QR_INVALID, "qr_group_abort: no rank of a group");
  device->group->abort();
  return QR_OK;
}

QR_EXPORT int qr_device_info(qr_dev dev, QrDeviceInfo* out) {
  quire::Device* device = quire::device_of(dev);
  if (device == nullptr) return QR_INVALID;
  if (out == nullptr || out->size != static_cast<int32_t>(sizeof(QrDeviceInfo))) {
    return fail(QR_INVALID, "qr_device_info: bad argument");
  }
  out->threads = device->pool.threads();
  out->isa = device->isa;
  out->queue = 1;
  out->free_bytes = 0;
  out->memory_bytes = quire::host_memory_bytes();
  quire::processor_name(out->name, sizeof out->name);
  return QR_OK;
}

QR_EXPORT int qr_device_close(qr_dev dev) {
  quire::Device* device = quire::device_of(dev);
  if (device == nullptr) return QR_INVALID;
  return quire::guarded([&] {
    if (device->group != nullptr) device->group->abort();
    if (device->running) device->pool.wait();
    {
      const std::lock_guard<std::mutex> lock(quire::registry_mutex);
      quire::registry().erase(device);
    }
    delete device;
    return QR_OK;
  });
}

QR_EXPORT int qr_alloc(qr_dev dev, uint64_t bytes, uint64_t* out) {
  quire::Device* device = quire::device_of(dev);
  if (device == nullptr) return QR_INVALID;
  if (bytes == 0 || out == nullptr) return fail(QR_INVALID, "qr_alloc: bad argument");
  return quire::guarded([&] {
    const uint64_t address = device->memory.allocate(bytes);
    if (address == 0) {
      return fail(QR_NO_MEMORY, "cannot allocate %llu bytes", static_cast<unsigned long long>(bytes));
    }
    *out = address;
    return static_cast<int>(QR_OK);
  });
}

QR_EXPORT int qr_free(qr_dev dev, uint64_t address, uint64_t bytes) {
  quire::Device* device = quire::device_of(dev);
  if (device == nullptr) return QR_INVALID;
  if (address == 0 || bytes == 0 || !device->memory.release(address, bytes)) {
    return fail(QR_INVALID, "qr_free: not an allocation of this device");
  }
  return QR_OK;
}

/* The device's memory is the host's. */
QR_EXPORT int qr_host_alloc(qr_dev dev, uint64_t bytes, uint64_t* out) { return qr_alloc(dev, bytes, out); }

QR_EXPORT int qr_host_free(qr_dev dev, uint64_t address, uint64_t bytes) { return qr_free(dev, address, bytes); }

QR_EXPORT int qr_write(qr_dev dev, uint64_t address, const void* src, uint64_t bytes) {
  quire::Device* device = quire::device_of(dev);
  if (device == nullptr) return QR_INVALID;
  if (address == 0 || src == nullptr) return fail(QR_INVALID, "qr_write: bad argument");
  if (device->running) return fail(QR_INVALID, "qr_write: a list is running");
  memcpy(reinterpret_cast<void*>(address), src, bytes);
  return QR_OK;
}

QR_EXPORT int qr_read(qr_dev dev, void* dst, uint64_t address, uint64_t bytes) {
  quire::Device* device = quire::device_of(dev);
  if (device == nullptr) return QR_INVALID;
  if (address == 0 || dst == nullptr) return fail(QR_INVALID, "qr_read: bad argument");
  if (device->running) return fail(QR_INVALID, "qr_read: a list is running");
  memcpy(dst, reinterpret_cast<const void*>(address), bytes);
  return QR_OK;
}

QR_EXPORT int qr_last_error(char* out, int32_t capacity) { return quire::last_error(out, capacity); }

QR_EXPORT int qr_packed_bytes(int32_t type, int64_t rows, int64_t cols, uint64_t* out) {
  if (out == nullptr) return fail(QR_INVALID, "qr_packed_bytes: bad argument");
  return quire::packed_size(type, rows, cols, out);
}

QR_EXPORT int qr_pack(qr_dev dev, int32_t type, const void* src, int64_t rows, int64_t cols,
                      uint64_t dst) {
  quire::Device* device = quire::device_of(dev);
  if (device == nullptr) return QR_INVALID;
  uint64_t bytes;
  const int status = quire::packed_size(type, rows, cols, &bytes);
  if (status != QR_OK) return status;
  if (src == nullptr || dst == 0) return fail(QR_INVALID, "qr_pack: bad argument");
  if (device->running) return fail(QR_INVALID, "qr_pack: a list is running");
  quire::PackJob job = {device->pool, *quire::format_of(type), static_cast<const uint8_t*>(src), rows,
                        cols,         reinterpret_cast<uint8_t*>(dst)};
  device->pool.run(quire::pack_worker, &job);
  device->pool.wait();
  return QR_OK;
}

QR_EXPORT int qr_submit(qr_dev dev, const QrOp* ops, int32_t n, const QrStep* step) {
  quire::Device* device = quire::device_of(dev);
  if (device == nullptr) return QR_INVALID;
  if (n < 0 || (n > 0 && ops == nullptr) || step == nullptr) {
    return fail(QR_INVALID, "qr_submit: bad argument");
  }
  if (device->running) return fail(QR_INVALID, "qr_submit: a list is running already");
  return quire::guarded([&] {
    int status = quire::whole(*device);
    if (status == QR_OK) status = quire::prepare(*device, ops, n, step);
    if (status != QR_OK) return status;
    device->memory.populate();  // not before: while a model is loaded it would be in the way
    device->running = true;
    device->pool.run(quire::list_worker, device);
    return static_cast<int>(QR_OK);
  });
}

QR_EXPORT int qr_reserve(qr_dev dev, const QrOp* ops, int32_t n, const QrStep* step) {
  quire::Device* device = quire::device_of(dev);
  if (device == nullptr) return QR_INVALID;
  if (n < 0 || (n > 0 && ops == nullptr) || step == nullptr) {
    return fail(QR_INVALID, "qr_reserve: bad argument");
  }
  if (device->running) return fail(QR_INVALID, "qr_reserve: a list is running");
  return quire::guarded([&] { return quire::prepare(*device, ops, n, step); });
}

QR_EXPORT int qr_wait(qr_dev dev) {
  quire::Device* device = quire::device_of(dev);
  if (device == nullptr) return QR_INVALID;
  if (!device->running) return fail(QR_INVALID, "qr_wait: nothing was submitted");
  device->pool.wait();
  device->running = false;
  if (device->step->out_nanos != nullptr) *device->step->out_nanos = device->pool.nanos();
  return quire::whole(*device);
}
