// A mixture of experts on the rows of one step (QR_OP_EXPERTS): products of each expert over the rows that chose it.
#ifndef QUIRE_CPU_EXPERTS_H
#define QUIRE_CPU_EXPERTS_H

#include "kernels.h"

namespace quire {

struct Device;
struct Worker;

/// Where the rows of an expert that was chosen lie, and its items of work.
struct ExpertRows {
  int32_t expert, first, rows;     // slots [first, first + rows); first is a multiple of kRowBlock
  int64_t gate_item, down_item;    // the first items of its products
};

/// What is known once the rows are sorted.
struct ExpertsPlan {
  int32_t active, slots;           // experts with rows; slots up to the last one's end
  int64_t gate_items, down_items;
};

/// A slot is a row together with an expert that it chose; slots are sorted by expert.
struct ExpertsJob {
  const QrExperts* op;
  int32_t rows, slots;             // of x; slots that there is room for
  bool normalised, add;
  LinearJob gate_up, down;         // of the first expert, over all slots
  QrGated gate;
  // In the device's memory for experts:
  ExpertsPlan* plan;
  ExpertRows* active;              // [experts]
  int32_t* chosen;                 // [rows, chosen], best first
  float* weight;                   // [rows, chosen]
  int32_t* slot;                   // [rows, chosen]
  int32_t* source;                 // [slots]: the row, -1 between experts
  float* gathered;                 // [slots, cols] where some weight is plain, else null
  float* gated;                    // [slots, inner]
  float* out;                      // [slots, cols]
};

void prepare_experts(const QrExperts& op, int flags, int rows, ExpertsJob& job);
/// Bytes that the operation needs, and the same laid out at an address.
int64_t experts_bytes(const ExpertsJob& job);
void place_experts(ExpertsJob& job, uint8_t* at);

/// Called by every worker.
void run_experts(Device& dev, Worker& worker, const ExpertsJob& job);

}  // namespace quire

#endif
