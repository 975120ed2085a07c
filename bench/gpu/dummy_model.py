"""A model folder to serve without a download: dummy_model.py FOLDER 8b|small|TINY_FOLDER

8b: Llama 3 8B's shape with random bf16 weights, 16 GB. small: the same layout, for trying it out. TINY_FOLDER: a copy of
a model without a tokenizer. Token i is the text "i," in each, so that an answer's text says its tokens. Python alone.
"""

import json
import os
import random
import shutil
import struct
import sys
from pathlib import Path

SHAPES = {
    "8b": dict(hidden_size=4096, intermediate_size=14336, num_hidden_layers=32, num_attention_heads=32, num_key_value_heads=8, vocab_size=128256),
    "small": dict(hidden_size=256, intermediate_size=512, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, vocab_size=512),
}
BLOCK = 1 << 24


def config_of(shape):
    return dict(SHAPES[shape], architectures=["LlamaForCausalLM"], model_type="llama", torch_dtype="bfloat16", hidden_act="silu",
                head_dim=SHAPES[shape]["hidden_size"] // SHAPES[shape]["num_attention_heads"], max_position_embeddings=8192,
                rms_norm_eps=1e-5, rope_theta=500000.0, tie_word_embeddings=False, bos_token_id=1, eos_token_id=2)


def tensors(c):
    """(name, shape) in the order of the file."""
    h, kv, inner, vocab = c["hidden_size"], c["num_key_value_heads"] * c["head_dim"], c["intermediate_size"], c["vocab_size"]
    yield "model.embed_tokens.weight", (vocab, h)
    for layer in range(c["num_hidden_layers"]):
        at = f"model.layers.{layer}."
        yield at + "input_layernorm.weight", (h,)
        yield at + "self_attn.q_proj.weight", (h, h)
        yield at + "self_attn.k_proj.weight", (kv, h)
        yield at + "self_attn.v_proj.weight", (kv, h)
        yield at + "self_attn.o_proj.weight", (h, h)
        yield at + "post_attention_layernorm.weight", (h,)
        yield at + "mlp.gate_proj.weight", (inner, h)
        yield at + "mlp.up_proj.weight", (inner, h)
        yield at + "mlp.down_proj.weight", (h, inner)
    yield "model.norm.weight", (h,)
    yield "lm_head.weight", (vocab, h)


def noise():
    """bf16 of either sign, from 2^-7 to 2^-6."""
    source = random.Random(1).randbytes(BLOCK)
    block = bytearray(BLOCK)
    block[0::2] = source[0::2].translate(bytes(b & 0x7F for b in range(256)))
    block[1::2] = source[1::2].translate(bytes(0x3C | b & 0x80 for b in range(256)))
    return bytes(block)


def write_weights(path, config):
    header, end = {}, 0
    for name, shape in tensors(config):
        size = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [end, end + size]}
        end += size
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    block = noise()
    with open(path, "wb") as file:
        file.write(struct.pack("<Q", len(text)) + text)
        for index, (_, shape) in enumerate(tensors(config)):
            left = 2 * shape[0] * (shape[1] if len(shape) > 1 else 1)
            if len(shape) == 1:
                file.write(b"\x80\x3f" * shape[0])
                continue
            at = index * 999_983 * 2 % BLOCK  # each tensor begins elsewhere
            while left > 0:
                piece = block[at:at + left]
                file.write(piece)
                left -= len(piece)
                at = 0


def write_tokenizer(path, size):
    special = [{"id": i, "content": f"{i},", "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
               for i in range(3)]
    path.write_text(json.dumps({
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": special, "normalizer": None,
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True},
        "post_processor": None, "decoder": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True},
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                  "fuse_unk": False, "byte_fallback": False, "vocab": {f"{i},": i for i in range(size)}, "merges": []},
    }))


def main(folder, what):
    folder.mkdir(parents=True, exist_ok=True)
    if what in SHAPES:
        config = config_of(what)
        (folder / "config.json").write_text(json.dumps(config, indent=1))
        done = folder / "model.safetensors"
        if not done.exists():
            write_weights(folder / "part", config)
            os.replace(folder / "part", done)
    else:
        for name in ("config.json", "model.safetensors", "golden.json", "golden_clear.json"):
            if (Path(what) / name).exists():
                shutil.copyfile(Path(what) / name, folder / name)
        config = json.loads((folder / "config.json").read_text())
    write_tokenizer(folder / "tokenizer.json", config["vocab_size"])


main(Path(sys.argv[1]), sys.argv[2])
