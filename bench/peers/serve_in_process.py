"""Puts engines that have no server behind the OpenAI API, so that the bench measures all alike.

Usage: python serve_in_process.py openvino MODEL.gguf PORT
       python serve_in_process.py transformers MODEL_FOLDER PORT [--batch N]

openvino:      OpenVINO GenAI's continuous batching pipeline, prefix caching on.
transformers:  static batching: requests that wait are padded to one batch, and the next batch begins when the
               longest answer of this one has ended. Each answer ends at its own length.

Only what the bench asks for: greedy streamed completions of exact length. The engine's thread writes to the sockets
itself, one write per answer and step, so that the wrapper costs the engine little.
"""

import argparse
import itertools
import json
import os
import queue
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


class Job:
    """One request: its prompt, how long its answer is, and the socket that takes it."""

    def __init__(self, prompt, length, send):
        self.prompt = prompt  # token ids, or text
        self.length = length
        self.prompt_tokens = 0
        self.made = 0
        self.ended = threading.Event()
        self._send = send
        self._gone = False

    def write(self, events):
        data = b"".join(b"data: " + event + b"\n\n" for event in events)
        try:
            if not self._gone:
                self._send(b"%x\r\n%s\r\n" % (len(data), data))
        except OSError:
            self._gone = True  # the client has left; the engine goes on with the others

    def token(self, text):
        """Hands on a token, and ends the answer with the last one."""
        if self.made == self.length:
            return
        self.made += 1
        last = self.made == self.length
        choice = {"index": 0, "text": text, "logprobs": None, "finish_reason": "length" if last else None}
        events = [json.dumps({"object": "text_completion", "choices": [choice]}).encode()]
        if last:
            usage = {
                "prompt_tokens": self.prompt_tokens,
                "completion_tokens": self.made,
                "total_tokens": self.prompt_tokens + self.made,
            }
            events += [json.dumps({"choices": [], "usage": usage}).encode(), b"[DONE]"]
        self.write(events)
        if last:
            self.ended.set()


def pieces(vocabulary):
    """Texts by token id; some engines give bytes."""
    texts = {}
    for token, number in vocabulary.items():
        text = token.decode(errors="replace") if isinstance(token, bytes) else token
        texts[number] = text.replace("Ġ", " ").replace("Ċ", "\n")
    return texts


class OpenVino:
    def __init__(self, model, jobs):
        import numpy
        import openvino
        import openvino_genai

        self.numpy, self.openvino, self.genai = numpy, openvino, openvino_genai
        self.jobs = jobs
        scheduler = openvino_genai.SchedulerConfig()
        scheduler.cache_size = 4  # GiB
        scheduler.max_num_seqs = 256
        scheduler.max_num_batched_tokens = 2048
        scheduler.dynamic_split_fuse = True
        scheduler.enable_prefix_caching = True
        self.pipeline = openvino_genai.ContinuousBatchingPipeline(model, scheduler, "CPU")
        self.tokenizer = self.pipeline.get_tokenizer()
        self.texts = pieces(self.tokenizer.get_vocab())
        self.numbers = itertools.count()

    def add(self, job):
        config = self.genai.GenerationConfig()
        config.max_new_tokens = job.length
        config.ignore_eos = True
        config.do_sample = False
        if isinstance(job.prompt, str):
            ids = self.tokenizer.encode(job.prompt).input_ids
            job.prompt_tokens = ids.shape[-1]
        else:
            ids = self.openvino.Tensor(self.numpy.array([job.prompt], dtype=self.numpy.int64))
            job.prompt_tokens = len(job.prompt)
        return self.pipeline.add_request(next(self.numbers), ids, config)

    def run(self):
        running = []
        while True:
            while not running or not self.jobs.empty():
                job = self.jobs.get()
                running.append((job, self.add(job)))
            self.pipeline.step()
            for job, handle in running:
                while handle.can_read():
                    for output in handle.read().values():
                        for number in output.generated_ids:
                            job.token(self.texts.get(number, ""))
            running = [(job, handle) for job, handle in running if not job.ended.is_set()]


class Transformers:
    def __init__(self, model, jobs, batch):
        import torch
        import transformers

        torch.set_num_threads(len(os.sched_getaffinity(0)))
        self.torch = torch
        self.jobs = jobs
        self.batch = batch
        self.tokenizer = transformers.AutoTokenizer.from_pretrained(model)
        self.model = transformers.AutoModelForCausalLM.from_pretrained(model, dtype=torch.bfloat16).eval()
        self.texts = pieces(self.tokenizer.get_vocab())
        self.Streamer = transformers.generation.streamers.BaseStreamer

    def take(self):
        """The next batch: one request at least, and all others that come within 20 ms of each other."""
        jobs = [self.jobs.get()]
        while len(jobs) < self.batch:
            try:
                jobs.append(self.jobs.get(timeout=0.02))
            except queue.Empty:
                break
        return jobs

    def run(self):
        while True:
            jobs = self.take()
            prompts = [self.tokenizer(j.prompt)["input_ids"] if isinstance(j.prompt, str) else j.prompt for j in jobs]
            longest = max(map(len, prompts))
            ids = [[0] * (longest - len(prompt)) + prompt for prompt in prompts]
            mask = [[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts]
            for job, prompt in zip(jobs, prompts):
                job.prompt_tokens = len(prompt)
            length = max(job.length for job in jobs)
            with self.torch.inference_mode():
                self.model.generate(
                    input_ids=self.torch.tensor(ids),
                    attention_mask=self.torch.tensor(mask),
                    do_sample=False,
                    max_new_tokens=length,
                    min_new_tokens=length,
                    pad_token_id=0,
                    streamer=self.streamer(jobs),
                )

    def streamer(self, jobs):
        texts = self.texts

        class Stream(self.Streamer):
            prompt_seen = False

            def put(self, value):
                if not self.prompt_seen:  # the prompts come first
                    self.prompt_seen = True
                    return
                for job, number in zip(jobs, value.flatten().tolist()):
                    job.token(texts.get(number, ""))

            def end(self):
                pass

        return Stream()


def handler(name, jobs):
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_):
            pass

        def do_GET(self):
            known = self.path == "/v1/models"
            body = json.dumps({"object": "list", "data": [{"id": name, "object": "model"}]} if known else {}).encode()
            self.send_response(200 if known else 404)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            self.send_response(200)
            self.send_header("Content-Type", "text/event-stream")
            self.send_header("Transfer-Encoding", "chunked")
            self.end_headers()
            job = Job(body["prompt"], body["max_tokens"], self.connection.sendall)
            jobs.put(job)
            job.ended.wait()
            self.wfile.write(b"0\r\n\r\n")

    return Handler


def main():
    arguments = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    arguments.add_argument("engine", choices=["openvino", "transformers"])
    arguments.add_argument("model")
    arguments.add_argument("port", type=int)
    arguments.add_argument("--batch", type=int, default=64, help="most requests in a static batch")
    given = arguments.parse_args()
    jobs = queue.Queue()
    if given.engine == "openvino":
        engine = OpenVino(given.model, jobs)
    else:
        engine = Transformers(given.model, jobs, given.batch)
    server = ThreadingHTTPServer(("127.0.0.1", given.port), handler(os.path.basename(given.model), jobs))
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    engine.run()  # an engine that breaks ends the process


if __name__ == "__main__":
    main()
