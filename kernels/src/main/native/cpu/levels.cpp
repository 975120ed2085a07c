// The kernels of each instruction set level, and which of them the machine has.
#include "kernels.h"

namespace quire {

namespace scalar {
extern const Kernels kKernels;
}
#if defined(__x86_64__)
namespace avx2 {
extern const Kernels kKernels;
}
namespace avx512 {
extern const Kernels kKernels;
}
namespace avx512_bf16 {
extern const Kernels kKernels;
}
#endif

const Kernels* kernels_for(int isa, int* chosen) {
#if defined(__x86_64__)
  __builtin_cpu_init();
  const bool has_avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma") &&
                        __builtin_cpu_supports("f16c");
  const bool has_avx512 = has_avx2 && __builtin_cpu_supports("avx512f") &&
                          __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq") &&
                          __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512vnni");
  const bool has_bf16 = has_avx512 && __builtin_cpu_supports("avx512bf16");
  if (isa == QR_ISA_AUTO) {
    isa = has_bf16 ? QR_ISA_AVX512_BF16 : has_avx512 ? QR_ISA_AVX512 : has_avx2 ? QR_ISA_AVX2 : QR_ISA_SCALAR;
  }
  *chosen = isa;
  if (isa == QR_ISA_AVX512_BF16) return has_bf16 ? &avx512_bf16::kKernels : nullptr;
  if (isa == QR_ISA_AVX512) return has_avx512 ? &avx512::kKernels : nullptr;
  if (isa == QR_ISA_AVX2) return has_avx2 ? &avx2::kKernels : nullptr;
#else
  if (isa == QR_ISA_AUTO) isa = QR_ISA_SCALAR;
  *chosen = isa;
#endif
  return isa == QR_ISA_SCALAR ? &scalar::kKernels : nullptr;
}

}  // namespace quire
