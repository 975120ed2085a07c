#!/bin/sh
# Compiles every CUDA kernel with nvcc, no GPU needed, and prints what each takes of a multiprocessor:
# compile.sh [output directory]. Fails where one spills or has a stack frame.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
output=${1:-$here/../../../../../target/cuda-compile}
mkdir -p "$output"
work=$(mktemp -d "$output/objects.XXXXXX")
trap 'rm -rf "$work"' EXIT
toolkit=$("$here/../../cuda/toolchain.sh")
export work toolkit

for source in "$here"/../../cuda/*.cu; do
  for arch in 80 90a; do printf '%s %s\n' "$arch" "$source"; done
done | xargs -P 2 -L 1 sh -c '
  object=$work/$(basename "$1" .cu).sm_$0
  "$toolkit/bin/nvcc" -x cu -std=c++20 -O3 -lineinfo -gencode="arch=compute_$0,code=sm_$0" -Xptxas -v \
    -c "$1" -o "$object.o" 2> "$object.log" || { cat "$object.log" >&2; exit 255; }'
python3 "$here/ptxas_table.py" "$work"
