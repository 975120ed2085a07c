"""Asks a server that speaks the OpenAI API: served.py URL golden FOLDER | load NAME PROMPT OUTPUT VOCAB ROW=REQUESTS...

golden: whether the greedy tokens are those of golden.json up to rounding and all those of golden_clear.json, where no choice
is close, for models of dummy_model.py. load: REQUESTS at once
of PROMPT random tokens and OUTPUT tokens each, for the row of ROW requests, which a trial run's are fewer than; prints rows of
the table, with the share of time in which the device did not work where the server's /metrics has it.
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


def greedy(url, case):
    text = complete(url, case["prompt"], len(case["greedy"]))["choices"][0]["text"]
    return [int(t) for t in text.split(",") if t]


def cases_of(folder, name):
    path = os.path.join(folder, name)
    return json.load(open(path))["cases"] if os.path.exists(path) else []


def golden(url, folder):
    """bf16 against float32: where the tokens part, the two must be choices that rounding may swap."""
    same = total = 0
    worst = 0.0
    clear = cases_of(folder, "golden_clear.json")
    equal = sum(greedy(url, case) == case["greedy"] for case in clear)
    for case in cases_of(folder, "golden.json"):
        wanted = case["greedy"]
        got = greedy(url, case)
        total += 1
        same += got == wanted
        if got != wanted:
            at = next((i for i, (a, b) in enumerate(zip(got, wanted)) if a != b), len(got))
            worst = max(worst, near(url, case["prompt"] + wanted[:at], wanted[at]))
    print(f"{equal} of {len(clear)} clear prompts and {same} of {total} others have the tokens of transformers; "
          f"the rest part at a log-probability's difference of {worst:.3f} at most")
    return equal == len(clear) and total > 0 and worst <= ROUNDING


def at_work(url):
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


def random_prompt(rng, length, vocab):
    return [rng.randrange(3, vocab) for _ in range(length)]


def first_token(url, rng, length, vocab):
    """Of one prompt alone on the server, the median of nine."""
    times, before = [], at_work(url) or 0.0
    for _ in range(9):
        prompt = random_prompt(rng, length, vocab)
        time.sleep(0.1)
        began = time.monotonic()
        complete(url, prompt, 1)
        times.append(time.monotonic() - began)
    row, ms, device = "TTFT of a 2k prompt over HTTP", 1e3 * sorted(times)[4], 1e3 * ((at_work(url) or 0.0) - before) / len(times)
    span = f"{1e3 * min(times):.1f} to {1e3 * max(times):.1f} ms"
    print(f"| {row} | {1e3 * ms:.0f} | {ms:.1f} ms | {length} tokens, from {span}, the device at work for {device:.1f} | {predicted(row)} |")


def load(url, name, rng, requests, shape, prompt, output, vocab):
    prompts = [random_prompt(rng, prompt, vocab) for _ in range(requests)]
    tokens, failed = [], []

    def one(p):
        try:
            tokens.append(complete(url, p, output)["usage"]["completion_tokens"])
        except (OSError, ValueError, KeyError) as e:
            failed.append(e)

    before, began = at_work(url), time.monotonic()
    threads = [threading.Thread(target=one, args=(p,)) for p in prompts]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    seconds = time.monotonic() - began
    row = f"serving {shape}" if name == "quire" else f"peer: {name} {shape}"
    print(f"| {row} | {1e6 * seconds:.0f} | {sum(tokens) / seconds:.0f} tok/s | {requests} x {prompt}/{output} | {predicted(row)} |")
    if name == "quire" and before is not None:
        idle = max(0.0, 1 - (at_work(url) - before) / seconds)
        row = f"GPU idle while serving {shape}"
        print(f"| {row} | {1e6 * seconds * idle:.0f} | {100 * idle:.1f} % | time in which the device was not at work | {predicted(row)} |")
    if failed or len(set(tokens)) != 1 or tokens[0] != output:
        sys.exit(f"{len(failed)} requests failed ({failed[:1]}), or had another number of tokens than {output}")


def loads(url, name, prompt, output, vocab, *sizes):
    rng = random.Random(1)
    complete(url, random_prompt(rng, prompt, vocab), 2)  # warm
    if name == "quire":
        first_token(url, rng, 2048 if prompt >= 1000 else prompt, vocab)
    for size in sizes:
        row, requests = map(int, size.split("="))
        load(url, name, rng, requests, f"{row} x 1000/1000", prompt, output, vocab)
    return True


if __name__ == "__main__":
    url, what, arguments = sys.argv[1], sys.argv[2], sys.argv[3:]
    wait_for(url)
    ok = golden(url, arguments[0]) if what == "golden" else loads(url, arguments[0], *map(int, arguments[1:4]), *arguments[4:])
    sys.exit(0 if ok else 1)
