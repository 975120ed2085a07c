#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "device.h"

namespace quire {
namespace {

constexpr uint64_t kHugePage = 2u << 20;
constexpr uint64_t kSlab = 16u << 20;
/// From here on a piece is worth a thread that touches it.
constexpr uint64_t kPopulated = 64u << 20;

/// Mapped memory aligned to a huge page, or 0.
uint64_t map_aligned(uint64_t bytes) {
  void* raw = mmap(nullptr, bytes + kHugePage, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (raw == MAP_FAILED) return 0;
  const uint64_t start = reinterpret_cast<uint64_t>(raw);
  const uint64_t base = (start + kHugePage - 1) / kHugePage * kHugePage;
  if (base > start) munmap(raw, base - start);
  const uint64_t tail = start + kHugePage - base;
  if (tail > 0) munmap(reinterpret_cast<void*>(base + bytes), tail);
  madvise(reinterpret_cast<void*>(base), bytes, MADV_HUGEPAGE);
  return base;
}

uint64_t round_page(uint64_t bytes) { return (bytes + 4095) / 4096 * 4096; }

void unmap(uint64_t base, uint64_t bytes) { munmap(reinterpret_cast<void*>(base), bytes); }

}  // namespace

Memory::~Memory() {
  for (const Slab& slab : slabs_) unmap(slab.base, slab.bytes);
  for (auto& [base, large] : large_) {
    large.populator.reset();
    unmap(base, large.bytes);
  }
}

uint64_t Memory::allocate(uint64_t bytes) {
  if (bytes >= kHugePage) {
    const uint64_t base = bytes > (1ull << 46) ? 0 : map_aligned(round_page(bytes));
    if (base == 0) return 0;
    Large& large = large_[base];
    large.bytes = round_page(bytes);
    unpopulated_ = unpopulated_ || bytes >= kPopulated;
    return base;
  }
  const uint64_t size = (bytes + 63) / 64 * 64;
  for (Slab& slab : slabs_) {
    if (slab.bytes - slab.used < size) continue;
    const uint64_t address = slab.base + slab.used;
    slab.used += size;
    slab.live++;
    return address;
  }
  const uint64_t base = map_aligned(kSlab);
  if (base != 0) slabs_.push_back({base, kSlab, size, 1});
  return base;
}

void Memory::populate() {
  if (!unpopulated_) return;
  unpopulated_ = false;
  for (auto& [base, large] : large_) {
    if (large.bytes < kPopulated || large.populator != nullptr) continue;
    large.populator = std::make_unique<Populator>(base, large.bytes);
  }
}

bool Memory::release(uint64_t address, uint64_t bytes) {
  if (bytes >= kHugePage) {
    const auto piece = large_.find(address);
    if (piece == large_.end() || piece->second.bytes != round_page(bytes)) return false;
    piece->second.populator.reset();
    unmap(address, piece->second.bytes);
    large_.erase(piece);
    return true;
  }
  for (size_t i = 0; i < slabs_.size(); i++) {
    Slab& slab = slabs_[i];
    if (address < slab.base || address >= slab.base + slab.used) continue;
    if (--slab.live == 0) {  // space is reused only by the slab as a whole, so it is always zeroed
      unmap(slab.base, slab.bytes);
      slabs_.erase(slabs_.begin() + static_cast<ptrdiff_t>(i));
    }
    return true;
  }
  return false;
}

}  // namespace quire
