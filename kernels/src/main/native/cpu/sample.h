// Drawing from a row of logits.
#ifndef QUIRE_CPU_SAMPLE_H
#define QUIRE_CPU_SAMPLE_H

#include "kernels.h"

namespace quire {

/// Draws one sample; scratch of sample_scratch_bytes(vocab).
void draw_sample(const Kernels& kernels, const QrSample& op, const QrStep& step, int64_t sample, uint8_t* scratch);
int64_t sample_scratch_bytes(int64_t vocab);

}  // namespace quire

#endif
