#include "memory.h"

namespace quire::cuda {
namespace {

/// Forgets a piece of this very size; false when there is none.
bool take_out(std::map<uint64_t, uint64_t>& pieces, uint64_t address, uint64_t bytes) {
  const auto piece = pieces.find(address);
  if (piece == pieces.end() || piece->second != bytes) return false;
  pieces.erase(piece);
  return true;
}

}  // namespace

Memory::~Memory() {
  for (const auto& [address, bytes] : pieces_) cudaFree(reinterpret_cast<void*>(address));
  for (const auto& [address, bytes] : host_) cudaFreeHost(reinterpret_cast<void*>(address));
}

int Memory::allocate(uint64_t bytes, cudaStream_t stream, uint64_t* out) {
  void* data = nullptr;
  cudaError_t status = cudaMalloc(&data, bytes);
  if (status == cudaErrorMemoryAllocation) {
    cudaGetLastError();
    size_t free = 0, total = 0;
    cudaMemGetInfo(&free, &total);
    return fail(QR_NO_MEMORY, "cannot allocate %llu bytes: %llu of the device's %llu are free",
                static_cast<unsigned long long>(bytes), static_cast<unsigned long long>(free),
                static_cast<unsigned long long>(total));
  }
  if (status == cudaSuccess) status = cudaMemsetAsync(data, 0, bytes, stream);
  if (status == cudaSuccess) status = cudaStreamSynchronize(stream);
  if (status != cudaSuccess) {
    cudaFree(data);
    return checked(status, "allocation");
  }
  *out = reinterpret_cast<uint64_t>(data);
  pieces_.emplace(*out, bytes);
  return QR_OK;
}

int Memory::allocate_host(uint64_t bytes, uint64_t* out) {
  void* data = nullptr;
  if (cudaMallocHost(&data, bytes) != cudaSuccess) {
    cudaGetLastError();
    return fail(QR_NO_MEMORY, "cannot allocate %llu bytes of page-locked host memory", static_cast<unsigned long long>(bytes));
  }
  *out = reinterpret_cast<uint64_t>(data);
  host_.emplace(*out, bytes);
  return QR_OK;
}

bool Memory::release_host(uint64_t address, uint64_t bytes) {
  if (!take_out(host_, address, bytes)) return false;
  cudaFreeHost(reinterpret_cast<void*>(address));
  return true;
}

bool Memory::release(uint64_t address, uint64_t bytes) {
  if (!take_out(pieces_, address, bytes)) return false;
  cudaFree(reinterpret_cast<void*>(address));
  return true;
}

bool Memory::holds(uint64_t address, uint64_t bytes) const {
  auto piece = pieces_.upper_bound(address);
  if (piece == pieces_.begin()) return false;
  --piece;
  const uint64_t offset = address - piece->first;
  return offset <= piece->second && bytes <= piece->second - offset;
}

}  // namespace quire::cuda
