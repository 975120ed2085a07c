#!/bin/sh
# Prints the folder of a CUDA toolkit for compiling (bin/nvcc, include, lib), downloaded once from the Python package
# index into the cache folder: about 105 MB. Linking needs -cudart static -L<folder>/lib. Needs python3 with venv.
set -eu
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
version=$(cksum < "$here/toolchain.txt" | cut -d ' ' -f 1)
root=${XDG_CACHE_HOME:-$HOME/.cache}/quire/cuda-toolchain-$version
if [ ! -d "$root" ]; then
  mkdir -p "$(dirname "$root")"
  part=$(mktemp -d "$root.XXXXXX") # moved into place when complete
  trap 'rm -rf "$part"' EXIT
  python3 -m venv "$part/venv" >&2
  "$part/venv/bin/pip" install -q --disable-pip-version-check --no-deps --only-binary :all: --require-hashes \
    -r "$here/toolchain.txt" --target "$part/packages" >&2
  mv "$part/packages" "$root" 2>/dev/null || [ -d "$root" ]
fi
printf '%s\n' "$root/nvidia/cu13"
