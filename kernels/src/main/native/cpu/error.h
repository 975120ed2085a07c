// The text of the last failure, and the border that no exception crosses.
#ifndef QUIRE_CPU_ERROR_H
#define QUIRE_CPU_ERROR_H

#include <new>

#include "quire.h"

namespace quire {

/// Keeps the text for qr_last_error of this thread, and returns the status.
int fail(int status, const char* format, ...) __attribute__((format(printf, 2, 3)));
int last_error(char* out, int capacity);

/// Runs f, turning what it throws into a status.
template <class F>
int guarded(F&& f) {
  try {
    return f();
  } catch (const std::bad_alloc&) {
    return fail(QR_NO_MEMORY, "out of memory");
  } catch (...) {
    return fail(QR_FAULT, "unexpected exception");
  }
}

}  // namespace quire

#endif
