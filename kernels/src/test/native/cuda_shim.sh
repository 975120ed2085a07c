#!/bin/sh
# Puts the CUDA library that runs on the CPU where tests find a bundled one, and what joins its devices: cuda_shim.sh <output directory>
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
build=$here/../../../target/cuda-shim
sh "$here/../../main/native/cuda/build.sh" --shim "$build/objects" "$build"
mkdir -p "$1"
put() {
  if [ -f "$1" ] && ! cmp -s "$1" "$2"; then cp "$1" "$2"; fi
}
put "$build/libquire_cuda_shim.so" "$1/libquire_cuda.so"
put "$build/libnccl_shim.so" "$1/libnccl_shim.so"
