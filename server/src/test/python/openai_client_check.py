"""Checks a running server with the official OpenAI client.

Usage: openai_client_check.py BASE_URL [API_KEY]      (BASE_URL without /v1)
Prints one line per check; the exit code is 1 when one failed.
"""

import sys
import traceback

import openai

CHECKS = []


def check(function):
    CHECKS.append(function)
    return function


@check
def models_are_listed_and_retrieved(client, model):
    assert [m.id for m in client.models.list().data][0] == model
    assert client.models.retrieve(model).id == model


@check
def an_unknown_model_is_not_found(client, model):
    try:
        client.completions.create(model="no-such-model", prompt="x", max_tokens=1)
    except openai.NotFoundError as error:
        assert "no-such-model" in str(error)
        return
    raise AssertionError("no error")


@check
def a_bad_value_is_a_bad_request(client, model):
    try:
        client.completions.create(model=model, prompt="x", max_tokens=1, temperature=-1)
    except openai.BadRequestError as error:
        assert "temperature" in str(error)
        return
    raise AssertionError("no error")


@check
def a_completion_has_text_and_usage(client, model):
    answer = client.completions.create(model=model, prompt="The capital of France is", max_tokens=8, temperature=0)
    assert "Paris" in answer.choices[0].text, answer.choices[0].text
    assert answer.choices[0].finish_reason in ("length", "stop")
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    assert answer._request_id


@check
def a_streamed_completion_is_the_same_text(client, model):
    arguments = dict(model=model, prompt="Once upon a time", max_tokens=24, temperature=0)
    whole = client.completions.create(**arguments)
    chunks = list(client.completions.create(**arguments, stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].text for c in chunks if c.choices)
    assert text == whole.choices[0].text, (text, whole.choices[0].text)
    assert chunks[-1].choices == [] and chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == whole.choices[0].finish_reason


@check
def n_choices_come_back_in_order(client, model):
    answer = client.completions.create(model=model, prompt="A list:", max_tokens=6, n=3, temperature=0.9, seed=7)
    assert [c.index for c in answer.choices] == [0, 1, 2]


@check
def completion_logprobs_match_the_text(client, model):
    answer = client.completions.create(model=model, prompt="One two three", max_tokens=5, temperature=0, logprobs=2)
    logprobs = answer.choices[0].logprobs
    assert len(logprobs.tokens) == len(logprobs.token_logprobs) == len(logprobs.top_logprobs)
    assert all(value <= 0 for value in logprobs.token_logprobs)
    assert "".join(logprobs.tokens).startswith(answer.choices[0].text)


@check
def a_chat_answers(client, model):
    answer = client.chat.completions.create(
        model=model, messages=[{"role": "user", "content": "Say hello."}], max_completion_tokens=16, temperature=0
    )
    assert answer.object == "chat.completion"
    assert answer.choices[0].message.role == "assistant" and answer.choices[0].message.content


@check
def a_streamed_chat_is_the_same_text(client, model):
    arguments = dict(
        model=model,
        messages=[{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 2 + 2?"}],
        max_tokens=24,
        temperature=0,
    )
    whole = client.chat.completions.create(**arguments)
    chunks = list(client.chat.completions.create(**arguments, stream=True))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert chunks[0].choices[0].delta.role == "assistant"
    assert text == whole.choices[0].message.content, (text, whole.choices[0].message.content)
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == whole.choices[0].finish_reason


@check
def chat_logprobs_have_bytes(client, model):
    answer = client.chat.completions.create(
        model=model,
        messages=[{"role": "user", "content": "Hi"}],
        max_tokens=4,
        temperature=0,
        logprobs=True,
        top_logprobs=2,
    )
    for token in answer.choices[0].logprobs.content:
        assert token.logprob <= 0 and 1 <= len(token.top_logprobs) <= 2
        assert bytes(token.bytes).decode("utf-8", "replace") == token.token


def main():
    url = sys.argv[1].rstrip("/") + "/v1"
    key = sys.argv[2] if len(sys.argv) > 2 else "none"
    client = openai.OpenAI(base_url=url, api_key=key, max_retries=0, timeout=120)
    model = client.models.list().data[0].id
    failed = 0
    for function in CHECKS:
        try:
            function(client, model)
            print("ok  ", function.__name__)
        except Exception:
            failed += 1
            print("FAIL", function.__name__)
            traceback.print_exc(file=sys.stdout)
    print(len(CHECKS) - failed, "passed,", failed, "failed")
    sys.exit(1 if failed else 0)


main()
