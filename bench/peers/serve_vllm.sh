#!/usr/bin/env bash
# Serves a Hugging Face folder with vLLM on the CPU: ./serve_vllm.sh MODEL_FOLDER PORT [VENV]
# bf16, 4 GiB for keys and values, a thread bound to each core, and no log line per request.
set -euo pipefail

model=$1
port=$2
venv=${3:-${XDG_CACHE_HOME:-$HOME/.cache}/quire/peers/vllm}
export VLLM_CPU_KVCACHE_SPACE=${VLLM_CPU_KVCACHE_SPACE:-4}
export VLLM_CPU_OMP_THREADS_BIND=${VLLM_CPU_OMP_THREADS_BIND:-0-$(($(nproc) - 1))}
export VLLM_CPU_NUM_OF_RESERVED_CPU=${VLLM_CPU_NUM_OF_RESERVED_CPU:-0} VLLM_NO_USAGE_STATS=1 HF_HUB_OFFLINE=1
exec "$venv/bin/python" -m vllm.entrypoints.openai.api_server --model "$model" --served-model-name default \
  --host 127.0.0.1 --port "$port" --dtype bfloat16 --max-model-len 2048 --disable-log-stats
