#ifndef QUIRE_BENCH_BENCH_H
#define QUIRE_BENCH_BENCH_H

#include "cublaslt.h"

namespace quire::bench {

using cuda::CublasLt;

/// Rows whose result was not that of the plain kernel.
extern int wrong;

void measure_ceilings(const CublasLt& lt);
void kernel_table(const CublasLt& lt, bool full);
/// Steps of a model of Llama-3-8B's shape with random weights, driven from here as graphs.
void model_table(const CublasLt& lt);

}  // namespace quire::bench

#endif
