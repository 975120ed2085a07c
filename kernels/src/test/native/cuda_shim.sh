#!/bin/sh
# Puts the CUDA library that runs on the CPU where tests find a bundled one: cuda_shim.sh <output directory>
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
build=$here/../../../target/cuda-shim
sh "$here/../../main/native/cuda/build.sh" --shim "$build/objects" "$build"
mkdir -p "$1"
if [ -f "$build/libquire_cuda_shim.so" ] && ! cmp -s "$build/libquire_cuda_shim.so" "$1/libquire_cuda.so"; then
  cp "$build/libquire_cuda_shim.so" "$1/libquire_cuda.so"
fi
