// The kernels of one level. build.sh compiles this file once per level, with QR_LEVEL naming its namespace.
#include "kernels.h"

#include "simd.h"
// The parts, in order of use; each belongs to this translation unit alone.
#include "matmul_plain.h"
#include "matmul_quant.h"
#include "elementwise.h"
#include "linear.h"
#include "attention_words.h"
#include "attention_scores.h"
#include "attention_codes.h"
#include "attention.h"

namespace quire::QR_LEVEL {

extern const Kernels kKernels;
const Kernels kKernels = {quantise, linear, rms_norm, gated, rope_kv, attention, sum_up, scan, weigh};

}  // namespace quire::QR_LEVEL
