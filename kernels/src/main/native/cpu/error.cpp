#include "error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

namespace quire {
namespace {

thread_local char last_text[512];

}  // namespace

int fail(int status, const char* format, ...) {
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(last_text, sizeof last_text, format, arguments);
  va_end(arguments);
  return status;
}

int last_error(char* out, int capacity) {
  if (out != nullptr && capacity > 0) snprintf(out, static_cast<size_t>(capacity), "%s", last_text);
  return static_cast<int>(strlen(last_text));
}

}  // namespace quire
