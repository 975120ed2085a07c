#!/usr/bin/env python3
"""What the reference implementation says of the default model, in float32 of its dequantised weights.

Writes into ../resources/default:
  golden.json    prompts, their greedy continuations, and the log-probability and the lead over the runner-up of each
  accuracy.bin   mixed text (prose.txt, markdown.txt, code.txt), teacher-forced: for each position the log-probability
                 of the token that follows, and the 32 best tokens with theirs

Layout of accuracy.bin, little-endian: "QACC", int32 sequences, then for each sequence int32 n, n int32 token ids, and
for each of its first n - 1 positions float32 log-probability of the next token, 32 uint16 ids best first, 32 float32
log-probabilities.

  python3 make_default_golden.py model.gguf [--full-logits FILE]

--full-logits also writes the float32 logits of all those positions, for the true divergence (keep them out of the
repository: 200 KB a position). Needs torch, transformers, tokenizers and gguf; some minutes on a CPU.
"""
import argparse
import json
import pathlib
import struct

import gguf
import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers
from transformers import LlamaConfig, LlamaForCausalLM

RESOURCES = pathlib.Path(__file__).resolve().parent.parent / "resources" / "default"
TEXTS = ("prose.txt", "markdown.txt", "code.txt")
SEQUENCE = 512
TOP = 32
NEW_TOKENS = 24

PROMPTS = [
    "The capital of France is",
    "Water boils at",
    "def fibonacci(n):\n    ",
    "<|im_start|>system\nYou are a helpful AI assistant named SmolLM, trained by Hugging Face<|im_end|>\n"
    "<|im_start|>user\nName three colours.<|im_end|>\n<|im_start|>assistant\n",
    "Once upon a time, in a village by the sea, there lived",
    "1, 2, 3, 4, 5,",
]

OUTER = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}
INNER = {
    "attn_norm": "input_layernorm", "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj", "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj",
}


def hf_name(name):
    parts = name.split(".")
    if parts[0] == "blk":
        return f"model.layers.{parts[1]}.{INNER[parts[2]]}.{parts[3]}"
    return f"{OUTER[parts[0]]}.{parts[1]}"


def unpermute(w, heads):
    """GGUF interleaves the halves of each rotated head of Llama."""
    return w.reshape(heads, w.shape[0] // heads // 2, 2, w.shape[1]).swapaxes(1, 2).reshape(w.shape)


def load(reader):
    def meta(key):
        return reader.fields[f"llama.{key}"].contents()

    heads, kv_heads = meta("attention.head_count"), meta("attention.head_count_kv")
    state = {}
    for tensor in reader.tensors:
        w = gguf.quants.dequantize(tensor.data, tensor.tensor_type).astype(np.float32)
        if ".attn_q." in tensor.name:
            w = unpermute(w, heads)
        if ".attn_k." in tensor.name:
            w = unpermute(w, kv_heads)
        state[hf_name(tensor.name)] = torch.from_numpy(np.ascontiguousarray(w))
    tied = "lm_head.weight" not in state
    config = LlamaConfig(
        vocab_size=state["model.embed_tokens.weight"].shape[0], hidden_size=meta("embedding_length"),
        intermediate_size=meta("feed_forward_length"), num_hidden_layers=meta("block_count"),
        num_attention_heads=heads, num_key_value_heads=kv_heads, max_position_embeddings=meta("context_length"),
        rms_norm_eps=meta("attention.layer_norm_rms_epsilon"), tie_word_embeddings=tied,
        rope_parameters={"rope_type": "default", "rope_theta": meta("rope.freq_base")}, attn_implementation="eager")
    model = LlamaForCausalLM(config).float().eval()
    missing, unexpected = model.load_state_dict(state, strict=False)
    assert not unexpected and set(missing) <= {"lm_head.weight"}, (missing, unexpected)
    model.tie_weights()
    return model


def tokenizer(reader):
    """The tokenizer of this model: byte-level BPE, digits one by one, control tokens by name."""
    pieces = reader.fields["tokenizer.ggml.tokens"].contents()
    types = reader.fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(m.split(" ")) for m in reader.fields["tokenizer.ggml.merges"].contents()]
    bpe = Tokenizer(models.BPE({p: i for i, p in enumerate(pieces)}, merges))
    bpe.pre_tokenizer = pre_tokenizers.Sequence(
        [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    bpe.decoder = decoders.ByteLevel()
    bpe.add_special_tokens([p for p, t in zip(pieces, types) if t == 3])
    return bpe


def greedy(model, prompt):
    ids, logprobs, leads, cache = list(prompt), [], [], None
    for _ in range(NEW_TOKENS):
        with torch.no_grad():
            new = ids if cache is None else ids[-1:]
            out = model(torch.tensor([new]), past_key_values=cache, use_cache=True)
        cache = out.past_key_values
        row = torch.log_softmax(out.logits[0, -1].double(), -1)
        best = torch.topk(row, 2)
        ids.append(int(best.indices[0]))
        logprobs.append(round(float(best.values[0]), 6))
        leads.append(round(float(best.values[0] - best.values[1]), 6))
    return {"greedy": ids[len(prompt):], "logprobs": logprobs, "leads": leads}


def write_golden(model, bpe):
    cases = []
    for text in PROMPTS:
        ids = bpe.encode(text).ids
        case = {"text": text, "prompt": ids, **greedy(model, ids)}
        print(repr(text), "->", repr(bpe.decode(case["greedy"], skip_special_tokens=False)))
        cases.append(case)
    (RESOURCES / "golden.json").write_text(json.dumps({"cases": cases}, indent=1) + "\n")


def sequences(bpe):
    for name in TEXTS:
        ids = bpe.encode((RESOURCES / name).read_text()).ids
        for at in range(0, len(ids) - 1, SEQUENCE):
            yield ids[at:at + SEQUENCE + 1]


def write_accuracy(model, bpe, full_path):
    out = bytearray()
    full = open(full_path, "wb") if full_path else None
    positions, nll = 0, 0.0
    all_ids = list(sequences(bpe))
    out += b"QACC" + struct.pack("<i", len(all_ids))
    for ids in all_ids:
        with torch.no_grad():
            logits = model(torch.tensor([ids[:-1]])).logits[0]
        if full:
            full.write(logits.numpy().astype("<f4").tobytes())
        logprobs = torch.log_softmax(logits.double(), -1)
        best = torch.topk(logprobs, TOP, dim=-1)
        out += struct.pack("<i", len(ids)) + np.array(ids, "<i4").tobytes()
        for p in range(len(ids) - 1):
            nll -= float(logprobs[p, ids[p + 1]])
            out += struct.pack("<f", float(logprobs[p, ids[p + 1]]))
            out += best.indices[p].numpy().astype("<u2").tobytes()
            out += best.values[p].numpy().astype("<f4").tobytes()
        positions += len(ids) - 1
    if full:
        full.close()
    (RESOURCES / "accuracy.bin").write_bytes(out)
    print(f"{positions} positions, {len(out)} bytes, perplexity {np.exp(nll / positions):.4f}")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("--full-logits", type=pathlib.Path)
    args = parser.parse_args()
    reader = gguf.GGUFReader(args.model)
    torch.set_num_threads(1)
    model, bpe = load(reader), tokenizer(reader)
    write_accuracy(model, bpe, args.full_logits)
    write_golden(model, bpe)


if __name__ == "__main__":
    main()
