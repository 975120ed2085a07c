#!/usr/bin/env bash
# Installs OpenVINO GenAI: ./install_openvino.sh [FOLDER]   (default: ~/.cache/quire/peers/openvino; about 0.5 GB)
set -euo pipefail

venv=${1:-${XDG_CACHE_HOME:-$HOME/.cache}/quire/peers/openvino}
[ -x "$venv/bin/python" ] || python3 -m venv "$venv"
"$venv/bin/python" -m pip install -q "openvino-genai==2026.4.1"
"$venv/bin/python" -c 'import openvino_genai; print("openvino_genai", openvino_genai.__version__)'
