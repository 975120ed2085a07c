"""Makes the chat template fixtures: what Python's jinja2 renders, set up as Hugging Face transformers sets it up.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install jinja2==3.1.6 gguf
    /tmp/venv/bin/python make_template_golden.py ../resources/chat [default-model.gguf]

With the default model's file it also writes smollm2.json, from the template in that file's metadata. To look further than
the committed fixtures do, `--random COUNT SEED FILE` writes snippets put together at random, in the same format.
"""
import copy
import datetime
import json
import pathlib
import random
import sys

import jinja2
import jinja2.ext
import jinja2.nodes
import jinja2.sandbox

import template_models
import template_snippets

NOW = datetime.datetime(2025, 3, 7, 9, 5, 3)
TOKENS = {"bos_token": "<s>", "eos_token": "</s>"}


class Generation(jinja2.ext.Extension):
    """Blocks that mark what the assistant wrote; their text stays as it is."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(("name:endgeneration",), drop_needle=True)
        return jinja2.nodes.CallBlock(self.call_method("passed_on"), [], [], body).set_lineno(line)

    def passed_on(self, caller):
        return caller()


def environment():
    def raise_exception(message):
        raise jinja2.exceptions.TemplateError(message)

    def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
        return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)

    env = jinja2.sandbox.ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, jinja2.ext.loopcontrols])
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = NOW.strftime
    return env


ENV = environment()


def rendered(template, variables):
    """{"text": …}, or {"error": …} when jinja2 raises anything at all."""
    try:
        # Some filters of jinja2 change the lists they are given.
        return {"text": ENV.from_string(template).render(**copy.deepcopy(variables))}
    except Exception as e:  # whatever it is, a request with it fails
        return {"error": type(e).__name__ + ": " + str(e)[:60]}


def snippet_cases(templates):
    cases = []
    for template in templates:
        result = rendered(template, template_snippets.VARIABLES)
        # An address of an object cannot be expected of anyone.
        if " at 0x" in result.get("text", ""):
            result = {"error": "has no text worth having"}
        if template in template_snippets.UNSUPPORTED:
            result = {"unsupported": True}
        cases.append({"template": template, **result})
    return {"variables": template_snippets.VARIABLES, "cases": cases}


def conversation_cases(templates, tokens):
    cases = []
    for name, template in templates.items():
        for of, conversation in template_models.CONVERSATIONS.items():
            for opens in (False, True):
                variables = {
                    "documents": None, **tokens, **conversation.get("extra", {}), "messages": conversation["messages"],
                    "tools": conversation.get("tools"), "add_generation_prompt": opens}
                cases.append({"template": name, "conversation": of, "opens": opens, **rendered(template, variables)})
    return cases


class Chance:
    """Expressions and statements put together at random."""

    NAMES = list(template_snippets.VARIABLES) + ["undefined_name", "x", "loop"]
    LITERALS = ["1", "0", "-2", "2.5", "'a'", "'Hello'", "''", "' b '", "true", "false", "none", "[]", "{}", "[1, 'a', none]", "(1, 2)", "{'a': 1, 'b': [2]}", "'a,b,c'", "'\\n'", "3", "100", "'é😀'"]
    BINARY = ["+", "-", "*", "/", "//", "%", "**", "~", "==", "!=", "<", "<=", ">", ">=", "in", "not in", "and", "or", "is", "is not"]
    TESTS = ["defined", "undefined", "none", "string", "number", "integer", "float", "mapping", "sequence", "iterable", "boolean", "true", "false", "odd", "even", "callable", "lower", "upper", "divisibleby(2)", "eq(1)", "in([1, 'a'])", "gt(1)", "ne 'a'"]
    FILTERS = [
        "upper", "lower", "trim", "title", "capitalize", "length", "first", "last", "list", "join", "join(', ')", "string", "int", "float", "abs", "round", "round(1)", "tojson", "tojson(indent=2)", "sort", "unique", "unique | list", "reverse", "reverse | list", "items", "items | list", "dictsort", "default('d')", "default('d', true)",
        "replace('a', 'b')", "indent(2)", "map('upper') | list", "map(attribute='name') | list", "map('string') | join", "select | list", "reject('none') | list", "select('string') | list", "selectattr('name') | list", "selectattr('role', 'eq', 'user') | list", "rejectattr('content') | list", "sum", "min", "max", "batch(2) | list", "e", "safe", "count", "sum(attribute='age')", "sort(attribute='age')", "map('length') | list", "map('first') | list", "select('odd') | list", "items | first", "map('int') | sum",
    ]
    METHODS = ["strip()", "lstrip()", "rstrip('d')", "split()", "split(',')", "split('l', 1)", "upper()", "lower()", "title()", "capitalize()", "startswith('H')", "endswith(('d', 'x'))", "replace('l', 'L')", "find('o')", "count('l')", "index('a')", "items()", "keys()", "values()", "get('a')", "get('name', 'none')", "join(['a', 'b'])", "format(1, 'x')", "splitlines()", "isdigit()", "append(1)", "pop()", "copy()", "partition('o')", "zfill(5)", "center(9)", "rsplit('l', 1)"]

    def __init__(self, seed):
        self.random = random.Random(seed)

    def pick(self, values):
        return self.random.choice(values)

    def expression(self, depth=3):
        r = self.random.random()
        if depth == 0 or r < 0.15:
            return self.pick(self.NAMES if self.random.random() < 0.6 else self.LITERALS)
        of = self.expression(depth - 1)
        if r < 0.35:
            return f"{of} | {self.pick(self.FILTERS)}"
        if r < 0.5:
            operator = self.pick(self.BINARY)
            if operator.startswith("is"):
                return f"{of} {operator} {self.pick(self.TESTS)}"
            return f"{of} {operator} {self.expression(depth - 1)}"
        if r < 0.6:
            return f"({of}).{self.pick(self.METHODS)}"
        if r < 0.7:
            return f"({of})[{self.pick(['0', '-1', '1:', ':2', '::-1', '1:3', ':-1', repr('a'), repr('name'), '5', 'n', 'l[1]', '-3:', '::2'])}]"
        if r < 0.76:
            return f"({of}).{self.pick(['a', 'name', 'x', 'role', 'content', 'items', 'index', 'first', '0'])}"
        if r < 0.82:
            return f"{of} if {self.expression(depth - 1)} else {self.expression(depth - 1)}"
        if r < 0.86:
            return f"{self.pick(['not ', '-', '+'])}{of}"
        if r < 0.92:
            return f"[{of}, {self.expression(depth - 1)}]"
        if r < 0.95:
            return "{" + f"'k': {of}, {self.expression(depth - 1)}: 1" + "}"
        return f"({of})"

    def body(self, depth):
        return "".join(self.statement(depth) for _ in range(self.random.randint(1, 3)))

    def statement(self, depth=2):
        r = self.random.random()
        dash = lambda: self.pick(["", "", "-", "-", "+"])
        begin = lambda tag: "{%" + dash() + " " + tag + " " + dash() + "%}"
        if r < 0.4 or depth == 0:
            return "{{ " + self.expression(2) + " }}" + self.pick(["", "\n", "  ", " x\n  "])
        if r < 0.55:
            return begin("if " + self.expression(2)) + self.pick(["", "\n "]) + self.body(depth - 1) + (begin("else") + self.body(depth - 1) if r < 0.47 else "") + begin("endif")
        if r < 0.75:
            target = self.pick(["x", "x", "a, b"])
            condition = f" if {self.expression(1)}" if r < 0.6 else ""
            inside = self.pick(["", "", "{% if loop.index > 1 %}{% break %}{% endif %}", "{% if x == 1 %}{% continue %}{% endif %}", "{{ loop.last }}", "{{ loop.nextitem }}", "\n  "])
            return begin(f"for {target} in {self.expression(2)}{condition}") + inside + self.body(depth - 1) + (begin("else") + self.body(depth - 1) if r < 0.65 else "") + begin("endfor")
        if r < 0.85:
            return begin(f"set {self.pick(['x', 't', 'y'])} = {self.expression(2)}")
        if r < 0.9:
            return begin("set y") + self.body(depth - 1) + begin("endset") + "{{ y }}"
        if r < 0.95:
            return begin("macro m(x, z=n)") + self.body(depth - 1) + begin("endmacro") + "{{ m(" + self.expression(1) + ") }}"
        return begin("filter " + self.pick(["upper", "trim", "length", "replace('a', 'b')"])) + self.body(depth - 1) + begin("endfilter")

    def template(self):
        return "{{ " + self.expression(3) + " }}" if self.random.random() < 0.6 else self.body(2)


def write(path, value):
    path.write_text(json.dumps(value, ensure_ascii=False, indent=0, separators=(",", ":")), encoding="utf-8")


def main(folder, model=None):
    folder.mkdir(parents=True, exist_ok=True)
    chance = Chance(20252)
    some = [chance.template() for _ in range(700)]
    write(folder / "snippets.json", snippet_cases(list(template_snippets.snippets()) + [t for t in some if len(t) < 300]))
    write(folder / "conversations.json", {
        "variables": TOKENS, "templates": template_models.TEMPLATES, "conversations": template_models.CONVERSATIONS, "cases": conversation_cases(template_models.TEMPLATES, TOKENS)})
    if model:
        import gguf
        fields = gguf.GGUFReader(model).fields
        texts = fields["tokenizer.ggml.tokens"].contents()
        tokens = {name: texts[fields[f"tokenizer.ggml.{key}_token_id"].contents()] for name, key in
                  {"bos_token": "bos", "eos_token": "eos", "unk_token": "unknown", "pad_token": "padding"}.items() if f"tokenizer.ggml.{key}_token_id" in fields}
        write(folder / "smollm2.json", conversation_cases({"smollm2": fields["tokenizer.chat_template"].contents()}, tokens))


if __name__ == "__main__":
    if sys.argv[1] == "--random":
        at_random = Chance(int(sys.argv[3]))
        write(pathlib.Path(sys.argv[4]), snippet_cases([at_random.template() for _ in range(int(sys.argv[2]))]))
    else:
        main(pathlib.Path(sys.argv[1]), *sys.argv[2:])
