// Runs the cases of the CUDA kernels. Arguments name groups; none runs all. The last line has the count and a digest
// of all outputs, which is the same in every order of the shim's threads. In the shim, SHIM_KERNELS names a file for the
// addresses of the kernels that ran.
#include "harness.h"

namespace cuda_cases {
namespace {

int passed = 0, failed = 0;
uint64_t hash = 0xcbf29ce484222325ull;  // FNV-1a

void write_kernels() {
#ifdef QR_SHIM
  const char* path = getenv("SHIM_KERNELS");
  FILE* file = path != nullptr ? fopen(path, "w") : nullptr;
  if (file == nullptr) return;
  for (const void* kernel : shim::kernels_run) fprintf(file, "%016llx\n", static_cast<unsigned long long>(reinterpret_cast<uintptr_t>(kernel)));
  fclose(file);
#endif
}

}  // namespace

void check(const std::string& name, double error, double bound) {
  const bool ok = error <= bound;
  (ok ? passed : failed)++;
  if (!ok || getenv("VERBOSE") != nullptr) printf("%s %s: error %.3g, allowed %.3g\n", ok ? "ok" : "FAILED", name.c_str(), error, bound);
}

void digest(const void* data, size_t bytes) {
  const unsigned char* at = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i < bytes; i++) hash = (hash ^ at[i]) * 0x100000001b3ull;
}

}  // namespace cuda_cases

int main(int argc, char** argv) {
  const struct {
    const char* name;
    void (*run)();
  } groups[] = {{"attention", cuda_cases::attention_cases}, {"gemm", cuda_cases::gemm_cases},
                {"experts", cuda_cases::expert_cases},     {"rows", cuda_cases::row_cases},
                {"sample", cuda_cases::sample_cases}};
  for (const auto& group : groups) {
    bool wanted = argc == 1;
    for (int i = 1; i < argc; i++) wanted = wanted || strcmp(argv[i], group.name) == 0;
    if (wanted) group.run();
  }
  cuda_cases::write_kernels();
  printf("%d passed, %d failed, digest %016llx\n", cuda_cases::passed, cuda_cases::failed,
         static_cast<unsigned long long>(cuda_cases::hash));
  return cuda_cases::failed == 0 && cuda_cases::passed > 0 ? 0 : 1;
}
