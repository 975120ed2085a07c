#!/usr/bin/env python3
"""What the reference implementation says of the tiny models when its cache holds int8 or E4M3 codes.

Writes golden_codes.json into each folder that make_tiny.py made, but for those of quantised weights: for each type the logits of every position of the
longest prompt of golden.json (base64 of little-endian float32). A head of a key or a value is the nearest codes of its type, times
its largest magnitude / 127 or / 448; torch's float8_e4m3fn makes those of E4M3. Needs torch and transformers.

  python3 make_tiny_codes.py
"""
import base64
import json
import pathlib

import torch
from transformers import AutoModelForCausalLM, DynamicCache

RESOURCES = pathlib.Path(__file__).resolve().parent.parent / "resources" / "tiny"


def int8(heads):
    scale = heads.abs().amax(-1, keepdim=True) / 127
    return torch.round(heads / scale) * scale


def fp8(heads):
    scale = heads.abs().amax(-1, keepdim=True) / 448
    return (heads / scale).to(torch.float8_e4m3fn).float() * scale


class CodesCache(DynamicCache):
    def __init__(self, to_codes):
        super().__init__()
        self.to_codes = to_codes

    def update(self, key_states, value_states, *args, **kwargs):
        return super().update(self.to_codes(key_states), self.to_codes(value_states), *args, **kwargs)


def main():
    torch.set_num_threads(1)
    for folder in sorted(RESOURCES.iterdir()):
        if "quantization_config" in json.loads((folder / "config.json").read_text()):
            continue
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        prompt = json.loads((folder / "golden.json").read_text())["cases"][-1]["prompt"]
        golden = {}
        for name, to_codes in (("int8", int8), ("fp8", fp8)):
            with torch.no_grad():
                out = model(torch.tensor([prompt]), past_key_values=CodesCache(to_codes), use_cache=True)
            golden[name] = base64.b64encode(out.logits[0].numpy().astype("<f4").tobytes()).decode()
        (folder / "golden_codes.json").write_text(json.dumps(golden, indent=1) + "\n")


if __name__ == "__main__":
    main()
