// Functions of libraries that are found at run time, so that nothing depends on them.
#ifndef QUIRE_CUDA_BIND_H
#define QUIRE_CUDA_BIND_H

#include <dlfcn.h>

namespace quire::cuda {

/// Whether an open library has the function.
template <class F>
bool bind_function(void* library, F& function, const char* name) {
  function = reinterpret_cast<F>(dlsym(library, name));
  return function != nullptr;
}

}  // namespace quire::cuda

#endif
