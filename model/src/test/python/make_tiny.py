#!/usr/bin/env python3
"""Makes the tiny random models of the tests, and what the reference implementation says of them.

Each model is a folder under ../resources/tiny with config.json, model.safetensors (float32; the projections of
"-fp8-" models in 8-bit floats, as which they are computed) and golden.json: prompts,
the logits of every position (base64 of little-endian float32), and greedy continuations. Needs torch,
transformers and safetensors; runs on a CPU in seconds; the seeds make it repeatable.

  python3 make_tiny.py [name ...]
"""
import base64
import json
import pathlib
import shutil
import sys

import numpy as np
import torch
from safetensors.torch import save_file
from transformers import (LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM, MixtralConfig,
                          MixtralForCausalLM, Qwen2Config, Qwen2ForCausalLM, Qwen3Config, Qwen3ForCausalLM,
                          Qwen3MoeConfig, Qwen3MoeForCausalLM)

RESOURCES = pathlib.Path(__file__).resolve().parent.parent / "resources" / "tiny"
VOCAB = 128
NEW_TOKENS = 24

SHAPE = dict(vocab_size=VOCAB, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
             num_key_value_heads=2, max_position_embeddings=256, bos_token_id=1, eos_token_id=2,
             attn_implementation="eager")

# Wide enough for the tiles of the GPU's kernels, and for several squares of scales each way.
WIDE = dict(SHAPE, hidden_size=128, intermediate_size=192, num_hidden_layers=1)
WIDER = dict(SHAPE, hidden_size=192, intermediate_size=320, num_hidden_layers=1)

# Widths of experts are multiples of 64 for the GPU's kernels.
MIXED = dict(SHAPE, hidden_size=64, intermediate_size=96, moe_intermediate_size=128, num_hidden_layers=1, num_experts=5,
             num_experts_per_tok=3, head_dim=16)

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
    "qwen3-fp8-squares": (Qwen3ForCausalLM, Qwen3Config(**WIDER, tie_word_embeddings=True, head_dim=32)),
    "llama-fp8-rows": (LlamaForCausalLM, LlamaConfig(**WIDE, tie_word_embeddings=False)),
    "llama-fp8-tensors": (LlamaForCausalLM, LlamaConfig(**SHAPE, tie_word_embeddings=False)),
    "mixtral": (MixtralForCausalLM, MixtralConfig(
        **dict(SHAPE, hidden_size=64, intermediate_size=128, num_hidden_layers=1), tie_word_embeddings=False, num_local_experts=4, num_experts_per_tok=2,
        sliding_window=None)),
    "qwen3-moe": (Qwen3MoeForCausalLM, Qwen3MoeConfig(**MIXED, tie_word_embeddings=False, norm_topk_prob=True)),
    "qwen3-moe-dense-layers": (Qwen3MoeForCausalLM, Qwen3MoeConfig(
        **dict(MIXED, num_hidden_layers=4, moe_intermediate_size=64), tie_word_embeddings=False, norm_topk_prob=False, decoder_sparse_step=2,
        mlp_only_layers=[1])),
}

SQUARE = 128
E4M3_LARGEST = 448


def scales_of(name, weight):
    """What scale each element of a matrix has, as the checkpoints store it, and for each element."""
    if name.endswith("tensors"):
        scale = (weight.abs().max() / E4M3_LARGEST).reshape(1)
        return scale, scale.expand(weight.shape)
    if name.endswith("rows"):
        scale = weight.abs().amax(dim=1, keepdim=True) / E4M3_LARGEST
        scale = scale.to(torch.bfloat16)
        return scale, scale.float().expand(weight.shape)
    down, across = -(-weight.shape[0] // SQUARE), -(-weight.shape[1] // SQUARE)
    scale = torch.empty(down, across)
    for i in range(down):
        for j in range(across):
            square = weight[i * SQUARE:(i + 1) * SQUARE, j * SQUARE:(j + 1) * SQUARE]
            square.mul_(2.0 ** ((i + 2 * j) % 3 - 1))  # else all would have about the same scale
            scale[i, j] = square.abs().max() / E4M3_LARGEST
    each = scale.repeat_interleave(SQUARE, 0).repeat_interleave(SQUARE, 1)
    return scale, each[:weight.shape[0], :weight.shape[1]]


def to_float8(name, model):
    """Rounds the model's projections to 8-bit floats; the tensors of the checkpoint that holds them."""
    stored = {}
    with torch.no_grad():
        for key, p in model.state_dict().items():
            if not key.endswith("proj.weight"):
                if key != "lm_head.weight" or not model.config.tie_word_embeddings:
                    stored[key] = p.clone()
                continue
            scale, each = scales_of(name, p)
            codes = (p / each).clamp(-E4M3_LARGEST, E4M3_LARGEST).to(torch.float8_e4m3fn)
            p.copy_(codes.float() * each)
            stored[key] = codes
            stored[key + ("_scale_inv" if name.endswith("squares") else "_scale")] = scale
    return stored


def save_float8(name, folder, stored):
    save_file(stored, folder / "model.safetensors", metadata={"format": "pt"})
    config = json.loads((folder / "config.json").read_text())
    if name.endswith("squares"):
        config["quantization_config"] = {"quant_method": "fp8", "fmt": "e4m3", "activation_scheme": "dynamic",
                                         "weight_block_size": [SQUARE, SQUARE]}
    else:
        config["quantization_config"] = {"quant_method": "compressed-tensors", "format": "float-quantized"}
    (folder / "config.json").write_text(json.dumps(config, indent=2, sort_keys=True) + "\n")


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
    stored = to_float8(name, model) if "-fp8-" in name else None
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
    if stored is not None:
        save_float8(name, folder, stored)
    (folder / "generation_config.json").unlink(missing_ok=True)
    (folder / "golden.json").write_text(json.dumps({"vocab": VOCAB, "cases": cases}, indent=1) + "\n")
    print(name, sum(f.stat().st_size for f in folder.iterdir()), "bytes")


def main():
    torch.set_num_threads(1)
    for i, (name, (model_class, config)) in enumerate(MODELS.items()):
        if sys.argv[1:] and name not in sys.argv[1:]:
            continue
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
