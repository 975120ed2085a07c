// main [quick|full|kernels|model]: the table of kernels against this card's ceilings, then a whole model. $QR_PREDICTIONS
// names the file of predictions, $QR_JSON a file for the rows.
#include <string.h>

#include "bench.h"
#include "timing.h"

int main(int argc, char** argv) {
  const char* mode = argc > 1 ? argv[1] : "quick";
  cudaDeviceProp card;
  quire::bench::must(cudaGetDeviceProperties(&card, 0), "device");
  quire::bench::CublasLt lt;
  printf("Card: %s, %d multiprocessors, %.0f GB.\n\n| row | us | rate | share | predicted |\n|---|---|---|---|---|\n", card.name,
         card.multiProcessorCount, static_cast<double>(card.totalGlobalMem) / 1e9);
  quire::bench::measure_ceilings(lt);
  if (strcmp(mode, "model") != 0) quire::bench::kernel_table(lt, strcmp(mode, "quick") != 0);
  if (strcmp(mode, "kernels") != 0) quire::bench::model_table(lt);
  quire::bench::must(cudaDeviceSynchronize(), "end");
  printf("%d rows wrong\n", quire::bench::wrong);
  return quire::bench::wrong == 0 ? 0 : 1;
}
