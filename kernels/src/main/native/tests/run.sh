#!/bin/sh
# Builds the library and the conformance table with sanitizers and runs it: run.sh [output directory]
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
output=${1:-$here/../../../../target/native-tests}
CXX=${CXX:-g++}

# run <name> <sanitizers> [groups of cases]: everything below $output/<name>.
run() {
  name=$1
  flags="-O1 -g -fno-omit-frame-pointer -fsanitize=$2 -fno-sanitize-recover=all"
  shift 2
  directory=$output/$name
  mkdir -p "$directory"
  QUIRE_CXXFLAGS=$flags sh "$here/../build.sh" "$directory/objects" "$directory"
  objects=
  for source in "$here"/*.cpp; do
    object=$directory/$(basename "$source" .cpp).o
    objects="$objects $(basename "$object")"
    if [ ! "$object" -nt "$source" ] || [ ! "$object" -nt "$here/harness.h" ] || [ ! "$object" -nt "$here/numbers.h" ]; then
      # shellcheck disable=SC2086
      $CXX -std=c++20 -Wall -Wextra $flags -I"$here/../include" -c "$source" -o "$object"
    fi
  done
  # shellcheck disable=SC2086
  (cd "$directory" && $CXX $flags $objects -L. -lquire_cpu -Wl,-rpath,'$ORIGIN' -pthread -o conformance)
  printf '%s: ' "$name"
  "$directory/conformance" "$@"
}

run address address,undefined
run thread thread rows attention fuse experts sample group
