#!/bin/sh
# Builds libquire_cpu.so: build.sh <object directory> <output directory>
# Says nothing when all is well. CXX names another compiler; QUIRE_CXXFLAGS adds flags.
set -eu

if [ $# -ne 2 ]; then
  echo "usage: build.sh <object directory> <output directory>" >&2
  exit 2
fi
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
mkdir -p "$1" "$2"
objects=$(CDPATH='' cd -- "$1" && pwd)
output=$(CDPATH='' cd -- "$2" && pwd)
if [ "$(uname -s)" != Linux ]; then
  exit 0 # the library is Linux's; elsewhere the Java backend runs
fi
if [ -z "${CXX:-}" ]; then
  CXX=g++
  command -v g++ >/dev/null 2>&1 || CXX=c++
fi
cd "$here" # so that a path with spaces is never in a list of words
if ! command -v "${CXX%% *}" >/dev/null 2>&1; then
  echo "quire: no C++ compiler ($CXX); install one, for example: apt-get install g++" >&2
  exit 1
fi

flags="-std=c++20 -fPIC -fvisibility=hidden -ffp-contract=off -fno-math-errno -fno-trapping-math"
flags="$flags -Wall -Wextra -Wno-maybe-uninitialized -Iinclude -Icpu"
library=$output/libquire_cpu.so

# The compiler and flags are part of what an object depends on.
stamp=$objects/flags
if [ "$(cat "$stamp" 2>/dev/null || true)" != "$CXX $flags ${QUIRE_CXXFLAGS:-}" ]; then
  rm -f "$objects"/*.o "$library"
  printf '%s\n' "$CXX $flags ${QUIRE_CXXFLAGS:-}" >"$stamp"
fi

newest=$(ls -t "$here"/build.sh "$here"/include/*.h "$here"/cpu/* | head -n 1)
[ "$library" -nt "$newest" ] && exit 0
header=$(ls -t "$here"/build.sh "$here"/include/*.h "$here"/cpu/*.h | head -n 1)

pids=
linked=
compile() { # object, source, flags...
  object=$objects/$1.o
  linked="$linked $1.o"
  source=$here/cpu/$2
  shift 2
  if [ "$object" -nt "$source" ] && [ "$object" -nt "$header" ]; then return; fi
  # Through a temporary name: an interrupted build leaves no object that looks finished.
  # shellcheck disable=SC2086
  ($CXX $flags "$@" ${QUIRE_CXXFLAGS:-} -c "$source" -o "$object.tmp" && mv "$object.tmp" "$object") &
  pids="$pids $!"
}
wait_all() {
  failed=0
  for pid in $pids; do wait "$pid" || failed=1; done
  pids=
  [ $failed -eq 0 ] || exit 1
}

scalar="-O2 -DQR_LEVEL=scalar"
avx2="-O3 -DQR_LEVEL=avx2 -DQR_LEVEL_AVX2 -mavx2 -mfma -mf16c"
avx512="-O3 -DQR_LEVEL=avx512 -DQR_LEVEL_AVX512 -mfma -mf16c -mavx512f -mavx512bw -mavx512dq -mavx512vl -mavx512vnni"
avx512_bf16="$avx512 -mavx512bf16 -UQR_LEVEL -DQR_LEVEL=avx512_bf16"
# shellcheck disable=SC2086
{
  compile kernels_scalar kernels.cpp $scalar
  case $($CXX -dumpmachine) in
  x86_64-*)
    compile kernels_avx2 kernels.cpp $avx2
    compile kernels_avx512 kernels.cpp $avx512
    compile kernels_avx512_bf16 kernels.cpp $avx512_bf16
    ;;
  esac
}
wait_all
for source in "$here"/cpu/*.cpp; do
  name=$(basename "$source" .cpp)
  [ "$name" = kernels ] || compile "$name" "$name.cpp" -O2
done
wait_all
# A server that has the old library loaded keeps it: the new one takes its place under the same name.
cd "$objects"
# shellcheck disable=SC2086
$CXX $flags ${QUIRE_CXXFLAGS:-} -shared -pthread -static-libstdc++ -static-libgcc -Wl,--version-script="$here/cpu/exports.map" -Wl,-z,defs \
  $linked -o "$library.tmp"
mv "$library.tmp" "$library"
