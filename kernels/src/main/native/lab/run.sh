#!/bin/sh
# Builds the library and the benchmarks and runs them: run.sh [output directory] [flags of lab.h]
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
output=$here/../../../../target/lab
case ${1:--} in
-*) ;;
*)
  output=$1
  shift
  ;;
esac

sh "$here/../build.sh" "$output/objects" "$output"
if [ ! -f "$output/libquire_cpu.so" ]; then
  echo "quire: the native kernels are Linux's" >&2
  exit 1
fi
: "${CXX:=$(command -v g++ || command -v c++)}"
newest=$(ls -t "$here"/*.h "$here"/../include/*.h | head -n 1)
for name in peak matmul_bench attention_bench step_bench; do
  program=$output/$name
  if [ ! "$program" -nt "$here/$name.cpp" ] || [ ! "$program" -nt "$newest" ]; then
    $CXX -std=c++20 -O2 -Wall -Wextra -I"$here/../include" "$here/$name.cpp" -L"$output" -lquire_cpu \
      -Wl,-rpath,"$output" -pthread -o "$program"
  fi
done
for name in peak matmul_bench attention_bench step_bench; do "$output/$name" "$@"; done
