// What the machine has: cores, memory and name.
#include <ctype.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "device.h"
#include "threads.h"

namespace quire {
namespace {

/// The first line of a file, or false.
bool first_line(const char* path, char* line, int capacity) {
  FILE* file = fopen(path, "re");
  if (file == nullptr) return false;
  const bool ok = fgets(line, capacity, file) != nullptr;
  fclose(file);
  return ok;
}

/// The lowest sibling of a processor identifies its core; the processor itself where the system does not tell.
int core_of(int cpu) {
  char path[96], line[64];
  snprintf(path, sizeof path, "/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
  return first_line(path, line, sizeof line) ? atoi(line) : cpu;
}

/// Whole processors that a quota allows, or a large number.
int quota_cores(double quota, double period) {
  if (quota <= 0 || period <= 0) return 1 << 20;
  return quota / period < 1 ? 1 : static_cast<int>(quota / period);
}

int cgroup_limit(const char* path) {
  char file[512], line[128], quota[32];
  double period = 0;
  snprintf(file, sizeof file, "/sys/fs/cgroup%.400s/cpu.max", path);
  if (!first_line(file, line, sizeof line)) return 1 << 20;
  if (sscanf(line, "%31s %lf", quota, &period) != 2) return 1 << 20;
  return isdigit(static_cast<unsigned char>(quota[0])) ? quota_cores(atof(quota), period) : 1 << 20;
}

/// The smallest quota of this process's control group and its ancestors (version 2), or that of version 1.
int quota_limit() {
  char line[512], quota[64], period[64];
  int limit = cgroup_limit("");
  if (first_line("/proc/self/cgroup", line, sizeof line) && strncmp(line, "0::/", 4) == 0) {
    char* path = line + 3;
    path[strcspn(path, "\n")] = 0;
    while (strlen(path) > 1) {
      const int here = cgroup_limit(path);
      if (here < limit) limit = here;
      *strrchr(path, '/') = 0;
    }
  }
  if (first_line("/sys/fs/cgroup/cpu/cpu.cfs_quota_us", quota, sizeof quota) &&
      first_line("/sys/fs/cgroup/cpu/cpu.cfs_period_us", period, sizeof period)) {
    const int here = quota_cores(atof(quota), atof(period));
    if (here < limit) limit = here;
  }
  return limit;
}

}  // namespace

int usable_cores() {
  constexpr int kMaxCpus = 4096;
  cpu_set_t* mask = CPU_ALLOC(kMaxCpus);
  if (mask == nullptr) return 1;
  int cores = 0;
  if (sched_getaffinity(0, CPU_ALLOC_SIZE(kMaxCpus), mask) == 0) {
    bool seen[kMaxCpus] = {};
    for (int cpu = 0; cpu < kMaxCpus; cpu++) {
      if (!CPU_ISSET_S(cpu, CPU_ALLOC_SIZE(kMaxCpus), mask)) continue;
      const int core = core_of(cpu);
      if (core < 0 || core >= kMaxCpus || seen[core]) continue;
      seen[core] = true;
      cores++;
    }
  }
  CPU_FREE(mask);
  const int limit = quota_limit();
  if (cores > limit) cores = limit;
  return cores < 1 ? 1 : cores;
}

uint64_t host_memory_bytes() {
  char line[128];
  unsigned long long kib = 0;
  if (!first_line("/proc/meminfo", line, sizeof line)) return 0;
  return sscanf(line, "MemTotal: %llu", &kib) == 1 ? kib * 1024 : 0;
}

void processor_name(char* out, int capacity) {
  snprintf(out, static_cast<size_t>(capacity), "unknown");
  FILE* file = fopen("/proc/cpuinfo", "re");
  if (file == nullptr) return;
  char line[256];
  while (fgets(line, sizeof line, file) != nullptr) {
    const char* colon = strchr(line, ':');
    if (strncmp(line, "model name", 10) != 0 || colon == nullptr) continue;
    snprintf(out, static_cast<size_t>(capacity), "%.*s", static_cast<int>(strcspn(colon + 2, "\n")),
             colon + 2);
    break;
  }
  fclose(file);
}

}  // namespace quire
