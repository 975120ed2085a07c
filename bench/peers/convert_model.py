"""Writes a GGUF file as a Hugging Face folder in bf16, for peers that read no GGUF.

Usage: python convert_model.py MODEL.gguf FOLDER     (needs torch, transformers, gguf, accelerate)
"""

import os
import sys

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer


def main() -> None:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    source, target = sys.argv[1:]
    folder, name = os.path.split(os.path.abspath(source))
    tokenizer = AutoTokenizer.from_pretrained(folder, gguf_file=name)
    loaded = AutoModelForCausalLM.from_pretrained(folder, gguf_file=name, dtype=torch.float32)
    config = loaded.config
    if hasattr(config, "quantization_config"):
        del config.quantization_config  # the weights are plain by now, and transformers saves no quantised ones
    config.dtype = torch.bfloat16
    model = AutoModelForCausalLM.from_config(config)
    model.load_state_dict(loaded.state_dict())
    model.to(torch.bfloat16).save_pretrained(target)
    tokenizer.save_pretrained(target)
    print(target)


if __name__ == "__main__":
    main()
