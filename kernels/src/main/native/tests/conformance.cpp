// The conformance table without a JVM: every operation, on every level of this machine, against plain references.
// Arguments name the groups to run; none runs all.
#include <string.h>

#include "harness.h"

int main(int argc, char** argv) {
  const struct {
    const char* name;
    void (*run)();
  } groups[] = {{"boundary", conformance::boundary_cases}, {"linear", conformance::linear_cases},
                {"rows", conformance::row_cases},          {"rope", conformance::rope_cases},
                {"attention", conformance::attention_cases}, {"fuse", conformance::fuse_cases},
                {"experts", conformance::expert_cases},
                 {"sample", [] { conformance::sample_cases(4000); }}, {"group", conformance::group_cases}};
  for (const auto& group : groups) {
    bool wanted = argc == 1;
    for (int i = 1; i < argc; i++) wanted = wanted || strcmp(argv[i], group.name) == 0;
    if (wanted) group.run();
  }
  return conformance::report();
}
