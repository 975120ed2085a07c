#!/bin/sh
# Builds the CUDA kernels for the CPU, through the shim, and runs their cases with the threads of a block forward,
# backward and shuffled, and once under sanitizers: run.sh [output directory]. The three orders must agree to the bit.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
output=${1:-$here/../../../../../target/cuda-tests}
mkdir -p "$output"
CXX=${CXX:-g++}

build() { # name, flags...
  directory=$output/$1
  shift
  mkdir -p "$directory"
  newest=$(ls -t "$here"/*.h "$here"/../numbers.h "$here"/../../cuda/*.h "$here"/../../cuda/*.cuh "$here"/../../cuda/shim/*.h \
    "$here"/../../cpu/half.h | head -n 1)
  pids=
  objects=
  for source in "$here"/*.cpp "$here"/../../cuda/*.cu; do
    object=$directory/$(basename "$source").o
    objects="$objects $(basename "$object")"
    if [ "$object" -nt "$source" ] && [ "$object" -nt "$newest" ]; then continue; fi
    $CXX -x c++ -std=c++20 -DQR_SHIM -Wall -Wextra -Wno-unknown-pragmas "$@" -c "$source" -o "$object" &
    pids="$pids $!"
  done
  for pid in $pids; do wait "$pid" || exit 1; done
  # shellcheck disable=SC2086
  (cd "$directory" && $CXX "$@" -no-pie $objects -o cases) # kernels lie where their symbols say
}

# The library through its C interface; its objects are the Java tests' too.
shim=$output/../cuda-shim
sh "$here/../../cuda/build.sh" --shim "$shim/objects" "$shim"
$CXX -std=c++20 -O1 -Wall -Wextra -I"$here/../../include" "$here"/library/*.cpp "$here"/../harness.cpp "$here"/../gguf_types.cpp "$here"/../sample_cases.cpp \
  -L"$shim" -lquire_cuda_shim -Wl,-rpath,"$(cd "$shim" && pwd)" -ldl -pthread -o "$output/library"
export QR_NCCL="$shim/libnccl_shim.so"
echo "cuda library: $("$output/library" "$shim/objects/cpu/libquire_cpu.so")"
echo "cuda library, products by a stand-in for cuBLASLt: $(QR_CUBLASLT="$shim/libcublaslt_shim.so" "$output/library" "$shim/objects/cpu/libquire_cpu.so")"

build plain -O2
expected=
for order in 0 1 7; do
  result=$(SHIM_KERNELS="$output/kernels.run" SHIM_ORDER=$order "$output/plain/cases") || { echo "$result"; exit 1; }
  echo "cuda shim, order $order: $result"
  if [ -n "$expected" ] && [ "$result" != "$expected" ]; then
    echo "the order of threads changes the result: a barrier is missing" >&2
    exit 1
  fi
  expected=$result
done
nm -C "$output/plain/cases" | grep -E '_kernel(<.*>)?\([^)]*\)( |$)' | grep -vF '::{lambda' | sort >"$output/kernels"
if grep -vFf "$output/kernels.run" "$output/kernels"; then
  echo "no case runs the kernels above" >&2
  exit 1
fi
echo "cuda shim: $(wc -l <"$output/kernels") kernels, each called start_after_previous"
build sanitized -O1 -g -fsanitize=address,undefined -fno-sanitize-recover=all
ASAN_OPTIONS=detect_leaks=0:detect_stack_use_after_return=0 "$output/sanitized/cases" >/dev/null
echo "cuda shim, sanitized: passed"
