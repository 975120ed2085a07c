#!/bin/sh
# Builds the CUDA library: build.sh [--shim] <object directory> <output directory>
# With nvcc libquire_cuda.so: NVCC names another compiler, ARCHS the architectures (default "80 90a"; newer cards run the
# intermediate code of the last). --shim: the same sources by g++ into libquire_cuda_shim.so, which runs the kernels on
# the CPU, for tests, and beside it a libnccl_shim.so that joins its devices. Says nothing when all is well. QUIRE_CXXFLAGS
# adds flags to the host's code and to the shim's.
set -eu

shim=
if [ "${1:-}" = --shim ]; then
  shim=yes
  shift
fi
if [ $# -ne 2 ]; then
  echo "usage: build.sh [--shim] <object directory> <output directory>" >&2
  exit 2
fi
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
mkdir -p "$1" "$2"
objects=$(CDPATH='' cd -- "$1" && pwd)
output=$(CDPATH='' cd -- "$2" && pwd)
NVCC=${NVCC:-nvcc}
CXX=${CXX:-g++}
if [ -n "$shim" ] && [ "$(uname -sm)" != "Linux x86_64" ]; then
  exit 0 # the shim's threads are written for it alone
fi
if [ -z "$shim" ] && ! command -v "${NVCC%% *}" >/dev/null 2>&1; then
  echo "quire: no CUDA compiler ($NVCC); install the CUDA toolkit, or set NVCC" >&2
  exit 1
fi

# Checks, file formats and threads are the CPU library's own objects.
sh "$here/../build.sh" "$objects/cpu" "$objects/cpu"

cd "$here" # so that a path with spaces is never in a list of words
if [ -n "$shim" ]; then
  library=$output/libquire_cuda_shim.so
  compile="$CXX -x c++ -std=c++20 -O2 -DQR_SHIM -fPIC -fvisibility=hidden -Wall -Wextra -Wno-unknown-pragmas ${QUIRE_CXXFLAGS:-}"
  link="$CXX ${QUIRE_CXXFLAGS:-}"
else
  library=$output/libquire_cuda.so
  targets=
  for arch in ${ARCHS:-80 90a}; do
    targets="$targets -gencode=arch=compute_$arch,code=sm_$arch"
    last=$arch
  done
  case $last in *a) last=80 ;; esac # what is made for one architecture alone runs on no other
  targets="$targets -gencode=arch=compute_$last,code=compute_$last"
  compile="$NVCC -x cu -std=c++20 -O3 -lineinfo $targets -Xcompiler=-fPIC,-fvisibility=hidden"
  link="$NVCC -cudart=static"
fi
compile="$compile -I. -I../include -I../cpu"

stamp=$objects/flags
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$compile" ]; then
  rm -f "$objects"/*.o "$library"
  printf '%s\n' "$compile" >"$stamp"
fi
newest=$(ls -t build.sh ./*.* host/* shim/* ../include/*.h ../cpu/* | head -n 1)
[ "$library" -nt "$newest" ] && exit 0
header=$(ls -t build.sh ./*.h ./*.cuh host/*.h shim/*.h ../include/*.h ../cpu/*.h | head -n 1)
for source in *.cu host/*.cu; do
  object=$objects/$(basename "$source" .cu).o
  if [ "$object" -nt "$source" ] && [ "$object" -nt "$header" ]; then continue; fi
  echo "$source"
done | xargs -P "${JOBS:-$(nproc)}" -I{} sh -c "
  source={}; object='$objects'/\$(basename \$source .cu).o
  $compile -c \$source -o \"\$object.tmp\" && mv \"\$object.tmp\" \"\$object\""

linked=
for name in check error format machine pack threads; do linked="$linked cpu/$name.o"; done
for source in *.cu host/*.cu; do linked="$linked $(basename "$source" .cu).o"; done
cd "$objects"
if [ -n "$shim" ]; then
  # shellcheck disable=SC2086
  $link -shared -pthread -static-libstdc++ -static-libgcc -Wl,--version-script="$here/../cpu/exports.map" -Wl,-z,defs \
    $linked -ldl -o "$library.tmp"
  for stand_in in nccl cublaslt; do
    # shellcheck disable=SC2086
    $CXX -std=c++20 -O2 -fPIC -fvisibility=hidden -Wall -Wextra ${QUIRE_CXXFLAGS:-} -shared -pthread "$here/shim/$stand_in.cpp" \
      -o "$output/lib${stand_in}_shim.so"
  done
else
  # shellcheck disable=SC2086
  $link -shared -Xcompiler=-pthread -Xcompiler=-static-libstdc++,-static-libgcc -Xlinker=--version-script="$here/../cpu/exports.map" \
    $linked -ldl -o "$library.tmp"
fi
mv "$library.tmp" "$library"
