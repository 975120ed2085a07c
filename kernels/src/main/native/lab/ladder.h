// The rows that the benchmarks print: what a kernel reached, and which share of the machine's peak that is.
#ifndef QUIRE_LAB_LADDER_H
#define QUIRE_LAB_LADDER_H

#include "lab.h"

namespace lab {

/// What the machine reaches at most: GB/s read, and 10^9 operations a second of the kind that the kernel is made of. 0: unknown.
struct Peak {
  double read, operations;
};

/// A kernel's work: bytes that must be read, and operations, a multiply-add being two.
struct Work {
  double bytes, operations;
};

/// Shares of the peaks; 0 where the peak is unknown.
struct Shares {
  double read, operations;
};

class Ladder {
 public:
  Ladder(const Options& options, const char* title) : json_(options.json) {
    printf("\n%s\n%-11s %-14s %-16s %9s %9s %9s %7s %9s %7s\n", title, "level", "kernel", "shape", "ms", "CPU ms", "GB/s", "of peak",
           "GOP/s", "of peak");
  }

  /// A kernel that did `work` in `time`.
  Shares row(const QrDeviceInfo& device, const std::string& kernel, const std::string& shape, Times time, Work work, Peak peak) {
    const double read = work.bytes / time.wall / 1e9, operations = work.operations / time.wall / 1e9;
    const Shares shares = {peak.read > 0 ? read / peak.read : 0, peak.operations > 0 ? operations / peak.operations : 0};
    begin(device, kernel, shape);
    cell("ms", " %9.3f", time.wall * 1e3);
    cell("processor_ms", " %9.3f", time.processor * 1e3);
    cell("gb_per_s", " %9.1f", read);
    cell("read_percent", " %6.1f%%", shares.read * 100);
    cell("gop_per_s", " %9.1f", operations);
    cell("operations_percent", " %6.1f%%", shares.operations * 100);
    end();
    return shares;
  }

  /// A peak itself: GB/s or 10^9 operations a second.
  void peak(const QrDeviceInfo& device, const std::string& kernel, const std::string& shape, Peak peak) {
    if (peak.read == 0 && peak.operations == 0) return;
    begin(device, "peak " + kernel, shape);
    cell("ms", " %9.3f", 0);
    cell("processor_ms", " %9.3f", 0);
    cell("gb_per_s", " %9.1f", peak.read);
    cell("read_percent", " %6.1f%%", 0);
    cell("gop_per_s", " %9.1f", peak.operations);
    end();
  }

 private:
  FILE* json_;

  void begin(const QrDeviceInfo& device, const std::string& kernel, const std::string& shape) {
    printf("%-11s %-14s %-16s", isa_name(device.isa), kernel.c_str(), shape.c_str());
    if (json_ == nullptr) return;
    fprintf(json_, "{\"isa\":\"%s\",\"threads\":%d,\"kernel\":\"%s\",\"shape\":\"%s\"", isa_name(device.isa), device.threads,
            kernel.c_str(), shape.c_str());
  }

  /// One figure; 0 is none.
  void cell(const char* name, const char* format, double value) {
    char text[32];
    const int width = snprintf(text, sizeof text, format, value);
    if (value == 0) {
      printf("%*s", width, "-");
      return;
    }
    fputs(text, stdout);
    if (json_ != nullptr) fprintf(json_, ",\"%s\":%.6g", name, value);
  }

  void end() {
    putchar('\n');
    fflush(stdout);
    if (json_ == nullptr) return;
    fputs("}\n", json_);
    fflush(json_);
  }
};

}  // namespace lab

#endif
