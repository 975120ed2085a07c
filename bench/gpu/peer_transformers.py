"""The served workload through the continuous batching of transformers: peer_transformers.py FOLDER PROMPT OUTPUT VOCAB ROW=REQUESTS

Paged attention, no HTTP; a row of the table as served.py prints them. Needs torch and transformers 5.
"""

import random
import sys
import time

import torch
from served import predicted, random_prompt
from transformers import AutoModelForCausalLM, GenerationConfig


def main(folder, prompt, output, vocab, size):
    row, requests = map(int, size.split("="))
    device = "cuda" if torch.cuda.is_available() else "cpu"
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.bfloat16).to(device).eval()
    rng = random.Random(1)

    def run(count, tokens):
        prompts = [random_prompt(rng, prompt, vocab) for _ in range(count)]
        config = GenerationConfig(max_new_tokens=tokens, do_sample=False, eos_token_id=-1, pad_token_id=0)
        began = time.monotonic()
        results = model.generate_batch(prompts, generation_config=config)
        return time.monotonic() - began, [len(r.generated_tokens) for r in results.values()]

    run(2, 4)  # warm
    seconds, tokens = run(requests, output)
    name = f"peer: transformers {row} x 1000/1000"
    print(f"| {name} | {1e6 * seconds:.0f} | {sum(tokens) / seconds:.0f} tok/s | {requests} x {prompt}/{output}, no HTTP | {predicted(name)} |")
    if len(tokens) != requests or set(tokens) != {output}:
        sys.exit(f"{len(tokens)} answers of {sorted(set(tokens))} tokens, not {requests} of {output}")


main(sys.argv[1], *map(int, sys.argv[2:5]), sys.argv[5])
