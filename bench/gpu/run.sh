#!/bin/sh
# Builds the CUDA kernels on a machine with a GPU, checks them and measures them:
#   run.sh [quick|full|kernels|model] [--dry]
# quick: cases, part of the kernel table, the model. full: all rows and the sanitizer. --dry: the cases alone, on the
# CPU through the shim. Results go to $OUT (default: a folder under /tmp) and to standard output; every phase has its
# own time limit and the script goes on after a phase that fails. The card's settings are left as they are.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
native=${QUIRE_NATIVE:-$here/../../kernels/src/main/native}
mode=quick
dry=
for argument; do
  case $argument in
  quick | full | kernels | model) mode=$argument ;;
  --dry) dry=yes ;;
  *) echo "usage: run.sh [quick|full|kernels|model] [--dry]" >&2; exit 2 ;;
  esac
done
if [ -n "$dry" ]; then exec sh "$native/tests/cuda/run.sh"; fi

out=${OUT:-/tmp/quire-gpu}
build=${BUILD:-/tmp/quire-gpu-build}
mkdir -p "$out" "$build"
status=0

phase() { # name, seconds, command...
  name=$1 limit=$2
  shift 2
  began=$(date +%s)
  if timeout "$limit" "$@" >"$out/$name.log" 2>&1; then result=ok; else result="FAILED ($?)"; status=1; fi
  echo "== $name: $result, $(($(date +%s) - began)) s"
  cat "$out/$name.log"
}

compile() {
  arch=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
  [ "$arch" = 90 ] && arch=90a
  export build native arch
  ls "$native"/cuda/*.cu "$native"/tests/cuda/*.cpp "$here"/*.cu | xargs -P 16 -I{} sh -c '
    nvcc -x cu -O3 -std=c++20 -lineinfo -gencode=arch=compute_$arch,code=sm_$arch -I"$native/cuda" -c {} -o "$build/$(basename {}).o"' &&
    nvcc -o "$build/cases" "$build"/*.cpp.o $(ls "$native"/cuda/*.cu | while read -r f; do echo "$build/$(basename "$f").o"; done) &&
    nvcc -o "$build/bench" $(ls "$native"/cuda/*.cu "$here"/*.cu | while read -r f; do echo "$build/$(basename "$f").o"; done) -ldl
}

for library in $(find /opt /usr/local /usr/lib -name 'libcublasLt.so.1[0-9]' 2>/dev/null); do
  QR_CUBLASLT=${QR_CUBLASLT:-$library}
done
export QR_CUBLASLT="${QR_CUBLASLT:-libcublasLt.so.13}" QR_JSON="$out/table.json"
phase card 10 nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm --format=csv,noheader
began=$(date +%s)
if ! compile >"$out/build.log" 2>&1; then
  cat "$out/build.log"
  exit 1
fi
echo "== build: $(($(date +%s) - began)) s"
phase cases 60 "$build/cases"
phase bench 180 "$build/bench" "$mode"
if [ "$mode" = full ]; then
  phase memcheck 40 compute-sanitizer --tool memcheck --error-exitcode 9 "$build/cases" attention gemm
  phase racecheck 40 compute-sanitizer --tool racecheck --error-exitcode 9 "$build/cases" attention
fi
exit $status
