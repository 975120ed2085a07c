#!/usr/bin/env python3
"""Prompts of the tiny models after which no greedy choice is close, so that bfloat16 makes the same.

Writes golden_clear.json into each folder that make_tiny.py made, but for those of quantised weights: of many random
prompts the four whose greedy tokens, by the reference implementation in float32, lead by most where they lead by least; the
lead is in units of the largest logit. Needs torch and transformers; takes some minutes.

  python3 make_tiny_clear.py
"""
import json
import pathlib

import numpy as np
import torch
from transformers import AutoModelForCausalLM

RESOURCES = pathlib.Path(__file__).resolve().parent.parent / "resources" / "tiny"
CANDIDATES = 8192
PROMPT_TOKENS = 12
NEW_TOKENS = 12
CLEAR = 4
LEAD = 0.06


def clear(model, vocab, rng):
    ids = torch.tensor(rng.integers(3, vocab, size=(CANDIDATES, PROMPT_TOKENS)))
    least, step, past = torch.full((CANDIDATES,), float("inf")), ids, None
    for _ in range(NEW_TOKENS):
        with torch.no_grad():
            out = model(step, past_key_values=past, use_cache=True)
        past, rows = out.past_key_values, out.logits[:, -1]
        top = torch.topk(rows, 2)
        least = torch.minimum(least, (top.values[:, 0] - top.values[:, 1]) / rows.abs().amax(1))
        step = top.indices[:, :1]
        ids = torch.cat([ids, step], 1)
    best = least.argsort(descending=True)[:CLEAR]
    lead = float(least[best[-1]])
    assert lead > LEAD, f"leads by no more than {lead}"
    return lead, [{"prompt": ids[i, :PROMPT_TOKENS].tolist(), "greedy": ids[i, PROMPT_TOKENS:].tolist()} for i in best]


def main():
    torch.set_num_threads(1)
    for folder in sorted(RESOURCES.iterdir()):
        config = json.loads((folder / "config.json").read_text())
        if "quantization_config" in config:
            continue
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
        lead, cases = clear(model, config["vocab_size"], np.random.default_rng(1))
        (folder / "golden_clear.json").write_text(json.dumps({"lead": lead, "cases": cases}, indent=1) + "\n")
        print(f"{folder.name}: the least lead is {lead:.3f}", flush=True)


if __name__ == "__main__":
    main()
