// From the runtime's status to quire.h's.
#ifndef QUIRE_CUDA_STATUS_H
#define QUIRE_CUDA_STATUS_H

#include "device.cuh"
#include "error.h"
#ifdef QR_SHIM
#include "shim/runtime_shim.h"
#endif

namespace quire::cuda {

/// QR_OK, or a failure that says what could not be done and why.
inline int checked(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return QR_OK;
  cudaGetLastError();  // else the next launch would report it once more
  return fail(status == cudaErrorMemoryAllocation ? QR_NO_MEMORY : QR_FAULT, "CUDA: %s: %s", what,
              cudaGetErrorString(status));
}

}  // namespace quire::cuda

#endif
