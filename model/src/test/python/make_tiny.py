#!/usr/bin/env python3
"""Makes the tiny random models of the tests, and what the reference implementation says of them.

Each model is a folder under ../resources/tiny with config.json, model.safetensors (float32) and golden.json: prompts,
the logits of every position (base64 of little-endian float32), and greedy continuations. Needs torch,
transformers and safetensors; runs on a CPU in seconds; the seeds make it repeatable.

  python3 make_tiny.py
"""
import base64
import json
import pathlib
import shutil

import numpy as np
import torch
from transformers import (LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, Qwen2Config,
                          Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM)

RESOURCES = pathlib.Path(__file__).resolve().parent.parent / "resources" / "tiny"
VOCAB = 128
NEW_TOKENS = 24

SHAPE = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=256, bos_token_id=1, eos_token_id=2,
             attn_implementation="eager")

LLAMA3 = dict(rope_type="llama3", rope_theta=500.0, factor=4.0, low_freq_factor=1.0, high_freq_factor=4.0,
              original_max_position_embeddings=64)

MODELS = {
    "llama-untied": (LlamaForCausalLM, LlamaConfig(**SHAPE, tie_word_embeddings=False)),
    "llama-tied": (LlamaForCausalLM, LlamaConfig(**SHAPE, tie_word_embeddings=True, rms_norm_eps=1e-5)),
    "llama-rope-scaled": (LlamaForCausalLM, LlamaConfig(**SHAPE, tie_word_embeddings=True, rope_parameters=LLAMA3)),
    "llama-rope-linear": (LlamaForCausalLM, LlamaConfig(
        **SHAPE, tie_word_embeddings=True,
        rope_parameters=dict(rope_type="linear", rope_theta=10000.0, factor=2.0))),
    "mistral-window": (MistralForCausalLM, MistralConfig(
        **SHAPE, tie_word_embeddings=False, head_dim=8, sliding_window=20)),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(**SHAPE, tie_word_embeddings=True, rope_theta=1000000.0)),
    "qwen3": (Qwen3ForCausalLM, Qwen3Config(**SHAPE, tie_word_embeddings=False, head_dim=16)),
}


def prompts(rng):
    """Short, one block exactly, over several blocks."""
    return [rng.integers(3, VOCAB, size=n).tolist() for n in (1, 5, 16, 33)]


def randomise(model, generator):
    """Wider than the usual initialisation, so that logits differ clearly and norms and biases matter."""
    with torch.no_grad():
        for name, p in model.named_parameters():
            noise = torch.randn(p.shape, generator=generator)
            if p.dim() == 1:
                p.copy_(0.3 * noise if name.endswith("bias") else 1 + 0.2 * noise)
            else:
                p.copy_(noise * (1.5 if "embed" in name else 1.6) / (p.shape[1] ** 0.5))


def greedy(model, prompt):
    ids = list(prompt)
    for _ in range(NEW_TOKENS):
        with torch.no_grad():
            row = model(torch.tensor([ids])).logits[0, -1]
        top = torch.topk(row, 2).values
        assert top[0] - top[1] > 2e-3, "too close to call: choose another seed"
        ids.append(int(row.argmax()))
    return ids[len(prompt):]


def make(name, model_class, config, seed):
    folder = RESOURCES / name
    if folder.exists():
        shutil.rmtree(folder)
    generator = torch.Generator().manual_seed(seed)
    model = model_class(config).float().eval()
    randomise(model, generator)
    model.tie_weights()
    cases = []
    for prompt in prompts(np.random.default_rng(seed)):
        with torch.no_grad():
            logits = model(torch.tensor([prompt])).logits[0].numpy().astype("<f4")
        cases.append({
            "prompt": prompt,
            "logits": base64.b64encode(logits.tobytes()).decode(),
            "greedy": greedy(model, prompt),
        })
    model.save_pretrained(folder, safe_serialization=True)
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "golden.json").write_text(json.dumps({"vocab": VOCAB, "cases": cases}, indent=1) + "\n")
    print(name, sum(f.stat().st_size for f in folder.iterdir()), "bytes")


def main():
    torch.set_num_threads(1)
    for i, (name, (model_class, config)) in enumerate(MODELS.items()):
        for seed in range(1000 * (i + 1), 1000 * (i + 1) + 50):
            try:
                make(name, model_class, config, seed)
                break
            except AssertionError:
                continue
        else:
            raise SystemExit(f"no seed gives {name} clear winners")


if __name__ == "__main__":
    main()
