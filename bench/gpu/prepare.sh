#!/bin/sh
# Makes what run.sh takes to a machine with a GPU, on one without: prepare.sh [--native] [FOLDER]
# FOLDER (default: .gpukit in the checkout) gets the CUDA library, the cases and the bench as programs that need no
# toolkit, the server with a Java runtime of its own, and tiny models with the tokens that transformers chooses. --native:
# the programs alone. The compiler is $NVCC, or comes from the Python package index (105 MB, once); nothing else is
# fetched. The server's jars are those of the last build (./quire). Ends with what is there and its size.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
native=$root/kernels/src/main/native
most_mib=60
whole=yes
if [ "${1:-}" = --native ]; then
  whole=
  shift
fi
kit=${1:-$root/.gpukit}
objects=$root/target/gpukit-objects
mkdir -p "$kit/bin" "$objects/own"
kit=$(CDPATH='' cd -- "$kit" && pwd)

step() { echo "prepare: $*"; }
die() {
  echo "prepare: $*" >&2
  exit 1
}

if [ -z "${NVCC:-}" ]; then
  toolkit=$("$native/cuda/toolchain.sh")
  NVCC=$toolkit/bin/nvcc
  export NVCC_APPEND_FLAGS="-L$toolkit/lib"
fi
export NVCC
step "compiler: $("$NVCC" --version | sed -n 's/.*release /release /p')"

# One architecture and the intermediate code for the others, unless ARCHS says more.
export ARCHS="${ARCHS:-90a}"
sh "$native/cuda/build.sh" "$objects" "$kit/bin"
step "libquire_cuda.so for $ARCHS"

gencode=
for arch in $ARCHS; do gencode="$gencode -gencode=arch=compute_$arch,code=sm_$arch"; done
gencode="$gencode -gencode=arch=compute_80,code=compute_80"
export gencode native objects
ls "$native"/tests/cuda/*.cpp "$here"/*.cu | while read -r source; do
  object=$objects/own/$(basename "$source").o
  newest=$(ls -t "$source" "$here"/*.h "$native"/tests/*.h "$native"/tests/cuda/*.h "$native"/cuda/*.h "$native"/cuda/*.cuh | head -n 1)
  [ "$object" -nt "$newest" ] || echo "$source"
done | xargs -P "${JOBS:-$(nproc)}" -I{} sh -c '
  "$NVCC" -x cu -O3 -std=c++20 -lineinfo $gencode -I"$native/cuda" -I"$native/tests" -I"$native/tests/cuda" -c {} \
    -o "$objects/own/$(basename {}).o"'
kernels=$(for source in "$native"/cuda/*.cu; do echo "$objects/$(basename "$source" .cu).o"; done)
# shellcheck disable=SC2086
"$NVCC" -cudart=static -o "$kit/bin/cases" "$objects"/own/*.cpp.o $kernels -ldl
# shellcheck disable=SC2086
"$NVCC" -cudart=static -o "$kit/bin/bench" "$objects"/own/*.cu.o $kernels -ldl
${CXX:-g++} -std=c++20 -O1 -I"$native/include" "$native"/tests/cuda/library/*.cpp "$native/tests/harness.cpp" "$native/tests/gguf_types.cpp" "$native/tests/sample_cases.cpp" \
  -L"$kit/bin" -lquire_cuda -Wl,-rpath,'$ORIGIN' -static-libstdc++ -static-libgcc -ldl -pthread -o "$kit/bin/library"
cp "$objects/cpu/libquire_cpu.so" "$kit/bin/"
step "cases, bench, library"

# Where there is no driver, all of it starts and says so.
if ! command -v nvidia-smi >/dev/null 2>&1; then
  devices=$(python3 -c 'import ctypes, sys; print(ctypes.CDLL(sys.argv[1]).qr_device_count())' "$kit/bin/libquire_cuda.so") ||
    die "the library does not load without a driver"
  [ "$devices" = 0 ] || die "the library finds $devices devices where there is no driver"
  if "$kit/bin/bench" kernels >/dev/null 2>&1; then die "the bench ran without a GPU"; fi
  step "without a driver: 0 devices"
fi
[ -n "$whole" ] || exit 0

ls "$root"/target/lib/quire-*.jar >/dev/null 2>&1 || die "no jars in target/lib; start ./quire once"
rm -rf "$kit/lib" "$kit/models" "$kit/java"
mkdir -p "$kit/lib"
cp "$root"/target/lib/*.jar "$kit/lib/"
PATH=${JAVA_HOME:+$JAVA_HOME/bin:}$PATH sh "$root/docker/runtime.sh" "$kit/java" 2>/dev/null || die "no JDK with jlink; set JAVA_HOME"
"$kit/java/bin/java" -cp "$kit/lib/*" dev.quire.server.Main serve --help >/dev/null 2>&1 || die "the server does not start in its runtime"
for folder in java bin; do
  tar -C "$kit" -cf - $folder | xz -6 -T0 >"$kit/$folder.tar.xz"
  rm -rf "${kit:?}/$folder"
done
for model in "$root"/model/src/test/resources/tiny/*/; do
  python3 "$here/dummy_model.py" "$kit/models/$(basename "$model")" "$model"
done
step "server, Java runtime, tiny models"

(cd "$kit" && find . -type f ! -name manifest -exec sha256sum {} + | sort -k 2 >manifest)
mib=$(($(du -sk "$kit" | cut -f 1) / 1024))
du -sk "$kit"/* | sort -n | awk '{printf "%8.1f MiB  %s\n", $1 / 1024, $2}' | sed "s#$kit/##"
[ "$mib" -le "$most_mib" ] || die "$mib MiB in all; $most_mib are allowed"
step "$mib MiB in $(basename "$kit")"
