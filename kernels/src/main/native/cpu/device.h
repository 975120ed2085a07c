// An open device: its pool, its memory and the list that it runs.
#ifndef QUIRE_CPU_DEVICE_H
#define QUIRE_CPU_DEVICE_H

#include <pthread.h>

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <vector>

#include "error.h"
#include "experts.h"
#include "group.h"
#include "kernels.h"
#include "pack.h"
#include "quire.h"
#include "sample.h"
#include "threads.h"

namespace quire {

uint64_t host_memory_bytes();
void processor_name(char* out, int capacity);

/// Has the kernel clear the pages of a large piece of memory while nothing else wants the processor: otherwise the steps
/// that write them first would wait for it, all threads for one.
class Populator {
 public:
  Populator(uint64_t base, uint64_t bytes);
  ~Populator();
  Populator(const Populator&) = delete;
  Populator& operator=(const Populator&) = delete;

 private:
  uint64_t base_, bytes_;
  std::atomic<bool> stopping_{false};
  bool running_ = false;
  pthread_t thread_{};

  static void* thread_main(void* argument);
};

/// Zeroed memory. Large pieces are mapped alone; small ones are cut from slabs, so that they lie in huge pages too.
class Memory {
 public:
  ~Memory();
  /// The address, or 0.
  uint64_t allocate(uint64_t bytes);
  /// Begins to populate what is large and new.
  void populate();
  /// False when the piece was not allocated here.
  bool release(uint64_t address, uint64_t bytes);

 private:
  struct Slab {
    uint64_t base, bytes, used;
    int64_t live;
  };
  std::vector<Slab> slabs_;
  struct Large {
    uint64_t bytes;
    std::unique_ptr<Populator> populator;  // of those that are filled little by little, such as a cache
  };
  std::map<uint64_t, Large> large_;  // by base
  bool unpopulated_ = false;
};

/// One operation with what had to be computed before the workers see it.
struct Prepared {
  const QrOp* op;
  LinearJob linear;
  AttentionJob attention;
  ExpertsJob experts;
  // How it is joined with its neighbours (fuse.cpp):
  bool absorbed;            // done by the operation before or behind
  bool fed;                 // a linear operation whose quantised input the operation before makes
  const LinearJob* feeds;   // takes the rows of this norm, gate or attention, quantised
  const QrRmsNorm* norm;    // of a linear operation with few rows: every worker norms them for itself
};

struct Device {
  const Kernels* kernels = nullptr;
  int isa = 0;
  Pool pool;
  Memory memory;
  bool running = false;
  std::shared_ptr<RankGroup> group;  // null: no rank of a group
  int rank = 0;
  bool shown = false;  // whether the ranks have shown their shares; written by one worker for all
  const QrStep* step = nullptr;
  std::vector<Prepared> list;
  std::vector<AttentionTile> tiles;
  Scratch quantised;
  Scratch experts;             // of the operation EXPERTS that runs
  int64_t quantised_area = 0;  // bytes of each of the two areas that linear operations use in turn
};

/// Checks the list and the step, and prepares dev.list; QR_OK or a failure.
int prepare(Device& dev, const QrOp* ops, int32_t n, const QrStep* step);

/// A linear operation of the parts; rows, x and out are the caller's to set.
LinearJob linear_job(const QrWeight* parts, int n_parts, bool high);

/// Joins operations of dev.list with their neighbours, so that values are used while they are in the cache and the
/// workers meet less often. What is computed stays the same, bit for bit.
void fuse(Device& dev);

/// Bytes of the quantised input of a linear operation, and the same laid out at an address.
int64_t quantised_bytes(const LinearJob& job);
QuantisedRows place_quantised(const LinearJob& job, uint8_t* at);

/// Cuts the work of a linear operation into items.
void split_linear(LinearJob& job, int threads);

/// Runs dev.list; called by each worker.
void run_list(Device& dev, Worker& worker);

}  // namespace quire

#endif
