#!/bin/sh
# Checks the CUDA kernels and the server on a machine with a GPU, and measures them beside their predictions:
#   run.sh [quick|full|cases|kernels|model|tiny|serve|peer] [--dry]
# quick: cases, library, tiny models served, part of the kernel table, the model's steps. full: all rows, the sanitizers,
# the served workload and the peers. cases, kernels, model, tiny, serve, peer: that part alone. What it runs is what prepare.sh made; a
# machine with nvcc and no kit makes the programs itself. serve and peer take the model folder $QUIRE_GPU_MODEL, else
# make one of Llama 3 8B's shape (16 GB, in $BUILD). --dry, on the CPU: the cases, every row of the table at small sizes
# and the server over the shim, the peers' client, and the kit itself. Results go to $OUT (default: a folder under /tmp)
# and to standard output; every phase has its own time limit and the script goes on after a phase that fails. The card's
# settings are left as they are.
set -u
here=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd)
root=$(CDPATH='' cd -- "$here/../.." && pwd)
native=$root/kernels/src/main/native
mode=quick
dry=
for argument; do
  case $argument in
  quick | full | cases | kernels | model | tiny | serve | peer) mode=$argument ;;
  --dry) dry=yes ;;
  *) echo "usage: run.sh [quick|full|cases|kernels|model|tiny|serve|peer] [--dry]" >&2; exit 2 ;;
  esac
done

if [ -n "$dry" ]; then
  kit=${GPUKIT:-$root/target/gpukit}
  out=${OUT:-$root/target/gpu-dry}
  mode=full
  requests=4 few=2 prompt=24 output=8 # of the served workload
else
  kit=${GPUKIT:-$root/.gpukit}
  out=${OUT:-/tmp/quire-gpu}
  requests=256 few=64 prompt=1000 output=1000
fi
build=${BUILD:-$out/build}
programs=$kit/bin
mkdir -p "$out" "$build"
export QR_JSON="$out/table.json" QR_PREDICTIONS="$here/predictions.tsv"
status=0

phase() { # name, seconds, command...
  name=$1 limit=$2
  shift 2
  began=$(date +%s)
  if timeout "$limit" "$@" >"$out/$name.log" 2>&1; then result=ok; else result="FAILED ($?)"; status=1; fi
  echo "== $name: $result, $(($(date +%s) - began)) s"
  cat "$out/$name.log"
}
wants() { # whether the mode has one of these parts
  for part; do [ "$mode" = "$part" ] && return; done
  return 1
}

# --- a server for one client's run ------------------------------------------------------------------------------------

start_quire() { # arguments of serve; in the background alone, whose process becomes the server
  # shellcheck disable=SC2086
  exec "$java" $java_options -cp "$classes" dev.quire.server.Main serve --host 127.0.0.1 --offline "$@"
}
free_port() { python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])'; }
against() { # name of the phase, seconds, arguments of served.py behind the address, --, command of the server with PORT
  phase_name=$1 seconds=$2
  shift 2
  client=
  while [ "$1" != -- ]; do client="$client $1"; shift; done
  shift
  port=$(free_port)
  # shellcheck disable=SC2046
  "$@" --port "$port" >"$out/$phase_name-server.log" 2>&1 &
  server=$!
  # shellcheck disable=SC2086
  phase "$phase_name" "$seconds" python3 "$here/served.py" "http://127.0.0.1:$port" $client
  [ "$result" = ok ] || grep -E 'WARN|ERROR|Error|Exception' "$out/$phase_name-server.log" | tail -n 5
  kill "$server" 2>/dev/null
  wait "$server" 2>/dev/null
}
serve_tiny() {
  for model in "$kit"/models/*/; do
    tiny=$(basename "$model")
    against "tiny-$tiny" 60 golden "${model%/}" -- start_quire --model "$model" --device cuda
  done
}
served_model() { # sets model and vocab
  model=${QUIRE_GPU_MODEL:-}
  shape=8b
  [ -z "$dry" ] || shape=small
  if [ -z "$model" ]; then
    model=$build/dummy-$shape
    phase dummy-model 240 python3 "$here/dummy_model.py" "$model" "$shape"
  fi
  vocab=$(python3 -c 'import json, sys; print(json.load(open(sys.argv[1] + "/config.json"))["vocab_size"])' "$model")
}
serve_load() {
  against serve 400 load quire $prompt $output "$vocab" 64=$few 256=$requests -- start_quire --model "$model" --device cuda \
    --max-num-seqs $requests
}
serve_peers() { # the same requests to whichever of vLLM, SGLang and transformers this machine's Python has
  found=
  if [ -n "$dry" ]; then # in their place a server that is there, so that the rows' way is tried
    against peer-vllm 100 load vllm $prompt $output "$vocab" 256=$requests -- start_quire --model "$model" --device cpu
  fi
  for peer in vllm sglang; do
    if python3 -c "import $peer" >/dev/null 2>&1; then
      found=yes
      case $peer in
      vllm) set -- python3 -m vllm.entrypoints.openai.api_server --model "$model" --dtype bfloat16 --max-model-len 2048 --max-num-seqs $requests --no-enable-prefix-caching ;;
      sglang) set -- python3 -m sglang.launch_server --model-path "$model" --dtype bfloat16 --context-length 2048 --max-running-requests $requests --disable-radix-cache ;;
      esac
      START_SECONDS=300 against "peer-$peer" 600 load "$peer" $prompt $output "$vocab" 256=$requests -- "$@" --host 127.0.0.1
    else
      echo "== peer-$peer: not compared; this machine's python3 has no $peer"
    fi
  done
  if python3 -c "import torch, transformers" >/dev/null 2>&1; then
    found=yes
    phase peer-transformers 300 python3 "$here/peer_transformers.py" "$model" $prompt $output "$vocab" 64=$few
  fi
  [ -n "$found" ] || echo "== peer: none of vLLM, SGLang and transformers is installed here, so there is no row of another engine"
}

# --- what runs --------------------------------------------------------------------------------------------------------

if [ -n "$dry" ]; then
  phase kit 600 sh "$here/prepare.sh" "$kit"
  phase cases 900 sh "$native/tests/cuda/run.sh"
  cases=$root/kernels/target/cuda-tests/plain
  bench_of_shim() {
    newest=$(ls -t "$here"/*.cu "$here"/*.h "$native"/cuda/*.h "$native"/cuda/*.cuh "$native"/cuda/shim/*.h "$native"/tests/cuda/attention_scene.h | head -n 1)
    if [ ! "$build/bench" -nt "$newest" ]; then
      for source in "$here"/*.cu; do
        ${CXX:-g++} -x c++ -std=c++20 -O1 -DQR_SHIM -Wall -Wextra -Wno-unknown-pragmas -I"$native/cuda" -I"$native/tests" -I"$native/tests/cuda" \
          -c "$source" -o "$build/$(basename "$source").o" || return
      done
      ${CXX:-g++} "$build"/*.cu.o "$cases"/*.cu.o -ldl -o "$build/bench" || return
    fi
    "$build/bench" full
  }
  began=$(date +%s)
  if bench_of_shim >"$out/bench.log" 2>&1; then result=ok; else result=FAILED status=1; fi
  echo "== bench, every row at small sizes, times without meaning: $result, $(($(date +%s) - began)) s"
  tail -n 60 "$out/bench.log"
  java=${JAVA_HOME:+$JAVA_HOME/bin/}java
  mkdir -p "$build/classes/META-INF/native/linux-x86_64"
  cp "$root/kernels/target/cuda-shim/libquire_cuda_shim.so" "$build/classes/META-INF/native/linux-x86_64/libquire_cuda.so" || status=1
  classes=$build/classes:$kit/lib/*
else
  if [ -f "$kit/bin.tar.xz" ]; then
    [ -x "$build/bin/bench" ] || tar -C "$build" -xJf "$kit/bin.tar.xz"
    programs=$build/bin
  elif [ ! -x "$programs/bench" ]; then
    arch=$(nvidia-smi --query-gpu=compute_cap --format=csv,noheader | head -n 1 | tr -d .)
    [ "$arch" = 90 ] && arch=90a
    phase build 400 env NVCC="${NVCC:-nvcc}" ARCHS="$arch" sh "$here/prepare.sh" --native "$kit"
  fi
  for library in $(find /opt /usr/local /usr/lib -name 'libcublasLt.so.1[0-9]' 2>/dev/null); do
    QR_CUBLASLT=${QR_CUBLASLT:-$library}
  done
  export QR_CUBLASLT="${QR_CUBLASLT:-libcublasLt.so.13}"
  phase card 10 nvidia-smi --query-gpu=name,driver_version,memory.total,clocks.sm --format=csv,noheader
  if wants quick full cases kernels; then
    phase cases 60 "$programs/cases"
    phase library 60 "$programs/library" "$programs/libquire_cpu.so"
  fi
  if wants quick full kernels model; then phase bench 180 "$programs/bench" "$mode"; fi
  if wants full; then
    if command -v compute-sanitizer >/dev/null 2>&1; then
      phase memcheck 90 compute-sanitizer --tool memcheck --error-exitcode 9 "$programs/cases"
      phase racecheck 90 compute-sanitizer --tool racecheck --error-exitcode 9 "$programs/cases" attention gemm experts
    else
      echo "== memcheck, racecheck: not run; there is no compute-sanitizer here"
    fi
  fi
  mkdir -p "$build/classes/META-INF/native/linux-x86_64"
  cp "$programs/libquire_cuda.so" "$build/classes/META-INF/native/linux-x86_64/" || status=1
  java=java classes=$build/classes:$kit/lib/*
  if [ -f "$kit/java.tar.xz" ]; then
    [ -x "$build/java/bin/java" ] || tar -C "$build" -xJf "$kit/java.tar.xz"
    java=$build/java/bin/java
  fi
fi
java_options="--enable-native-access=ALL-UNNAMED --sun-misc-unsafe-memory-access=allow -Xmx2g -XX:+UseSerialGC"
if wants quick full tiny serve peer; then
  if ls "$kit"/lib/quire-*.jar >/dev/null 2>&1; then
    if wants quick full tiny; then serve_tiny; fi
    if wants full serve peer; then
      served_model
      serve_load
    fi
    if wants full peer; then serve_peers; fi
  else
    echo "== tiny models, serve, peer: not run; the kit has no server (prepare.sh without --native makes it)"
  fi
fi
exit $status
