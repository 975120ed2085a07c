#!/bin/sh
# Builds the CUDA library for this machine's GPU and runs its cases on it: gpu.sh [output directory]
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
output=${1:-/tmp/quire-cuda-library}
arch=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
[ "$arch" = 90 ] && arch=90a
mkdir -p "$output"
ARCHS=$arch sh "$here/../../../cuda/build.sh" "$output/objects" "$output"
${CXX:-g++} -std=c++20 -O1 -I"$here/../../../include" "$here"/*.cpp "$here"/../../harness.cpp "$here"/../../gguf_types.cpp "$here"/../../sample_cases.cpp -L"$output" \
  -lquire_cuda -Wl,-rpath,"$output" -ldl -pthread -o "$output/library"
"$output/library" "$output/objects/cpu/libquire_cpu.so"
