"""Asks a server that speaks the OpenAI API: served.py URL golden FILE | load NAME REQUESTS PROMPT OUTPUT VOCAB

golden: whether the greedy tokens are those of golden.json up to rounding, for models of dummy_model.py. load: REQUESTS at once of PROMPT
random tokens and OUTPUT tokens each; prints rows of the table, with the share of time without a step where the server's
/metrics has it.
"""

import json
import math
import os
import random
import sys
import threading
import time
import urllib.request

ROUNDING = 0.2  # of a log-probability: more than bf16 makes of these models, less than a wrong kernel does


def get(url):
    with urllib.request.urlopen(url, timeout=10) as answer:
        return answer.read().decode()


def complete(url, prompt, tokens, **more):
    body = {"model": MODEL, "prompt": prompt, "max_tokens": tokens, "temperature": 0, "ignore_eos": True, **more}
    request = urllib.request.Request(url + "/v1/completions", json.dumps(body).encode(), {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=300) as answer:
        return json.load(answer)


def wait_for(url):
    global MODEL
    end = time.monotonic() + float(os.environ.get("START_SECONDS", "120"))
    while True:
        try:
            MODEL = json.loads(get(url + "/v1/models"))["data"][0]["id"]
            return
        except OSError:
            if time.monotonic() > end:
                sys.exit("the server did not start")
            time.sleep(0.2)


def near(url, context, token):
    """How far below the best the server has `token` after these, as a log-probability."""
    best = complete(url, context, 1, logprobs=5)["choices"][0]["logprobs"]["top_logprobs"][0]
    return max(best.values()) - best.get(f"{token},", -math.inf)


def golden(url, path):
    """bf16 against float32: where the tokens part, the two must be choices that rounding may swap."""
    same = total = 0
    worst = 0.0
    for case in json.load(open(path))["cases"]:
        wanted = case["greedy"]
        text = complete(url, case["prompt"], len(wanted))["choices"][0]["text"]
        got = [int(t) for t in text.split(",") if t]
        total += 1
        same += got == wanted
        if got != wanted:
            at = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b), len(got))
            worst = max(worst, near(url, case["prompt"] + wanted[:at], wanted[at]))
    print(f"{same} of {total} prompts have the tokens of transformers; the others part at a log-probability's difference of {worst:.3f} at most")
    return worst <= ROUNDING


def steps(url):
    for line in get(url + "/metrics").splitlines():
        if line.startswith("quire:device_seconds_total"):
            return float(line.split()[-1])
    return None


def predicted(row):
    for line in open(os.path.join(os.path.dirname(os.path.abspath(__file__)), "predictions.tsv")):
        name, figure, _ = line.split("\t", 2)
        if name == row:
            return figure
    sys.exit(f"{row}: nobody predicted it")


def load(url, name, requests, prompt, output, vocab):
    rng = random.Random(1)
    prompts = [[rng.randrange(3, vocab) for _ in range(prompt)] for _ in range(requests)]
    complete(url, prompts[0][: prompt // 2], 2)  # warm
    tokens, failed = [], []

    def one(p):
        try:
            tokens.append(complete(url, p, output)["usage"]["completion_tokens"])
        except (OSError, ValueError, KeyError) as e:
            failed.append(e)

    before, began = steps(url), time.monotonic()
    threads = [threading.Thread(target=one, args=(p,)) for p in prompts]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    seconds = time.monotonic() - began
    shape = "256 x 1000/1000"  # the row's; a trial run is smaller
    row = f"serving {shape}" if name == "quire" else f"peer: {name} {shape}"
    print(f"| {row} | {1e6 * seconds:.0f} | {sum(tokens) / seconds:.0f} tok/s | {requests} x {prompt}/{output} | {predicted(row)} |")
    if name == "quire" and before is not None:
        idle = max(0.0, 1 - (steps(url) - before) / seconds)
        row = f"GPU idle while serving {shape}"
        print(f"| {row} | {1e6 * seconds * idle:.0f} | {100 * idle:.1f} % | time in which the device was not at work | {predicted(row)} |")
    if failed or len(set(tokens)) != 1 or tokens[0] != output:
        sys.exit(f"{len(failed)} requests failed ({failed[:1]}), or had another number of tokens than {output}")
    return True


url, what, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
wait_for(url)
ok = golden(url, arguments[0]) if what == "golden" else load(url, arguments[0], *map(int, arguments[1:]))
sys.exit(0 if ok else 1)
