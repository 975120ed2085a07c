"""Makes the tokenizer fixtures: tiny tokenizer.json files and the ids that Hugging Face `tokenizers` gives.

    python3 -m venv /tmp/venv && /tmp/venv/bin/pip install tokenizers gguf
    /tmp/venv/bin/python make_tokenizer_golden.py ../resources/tokenizer [default-model.gguf]

With the default model's file it also writes smollm2.json, the ids of the tokenizer in that file's metadata, put together
as its publisher put it together (digits one by one, then the byte-level pattern of GPT-2).
"""
import json
import pathlib
import random
import sys

from tokenizers import AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers

LLAMA3 = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
O200K = "|".join([
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?",
    r"\p{N}{1,3}", r" ?[^\s\p{L}\p{N}]+[\r\n/]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+",
])

CORPUS = [
    "The quick brown fox jumps over the lazy dog. It's what we'll do, isn't it?",
    "def main(args):\n    for i in range(10):\n        print(i, args[i])\n    return 0\n",
    "En été, le café est ouvert; les élèves étudient à l'école où ça va bien.",
    "Größe, Straße, Füße — übermäßig schöne Wörter. Привет, мир! Как дела сегодня?",
    "你好,世界。今天天气很好。こんにちは世界。カタカナとひらがな。안녕하세요 세계.",
    "1234567890 3.14159 2024-11-05 0xFF 1,000,000 + 99% = $5.00",
    "    indented\n\n\n\ttabs\t\tand   spaces     everywhere  \r\n",
    "مرحبا بالعالم שלום עולם नमस्ते दुनिया สวัสดีชาวโลก",
    "THE UPPER CASE AND camelCase And PascalCase snake_case kebab-case",
    "😀 😁 👍 🎉 emoji ❤️ and 👨‍👩‍👧 family",
] * 3

NASTY = [
    "", " ", "  ", "   ", "a", "A", "é", "e\u0301", "\u0301", "a\u0301\u0323b", "a\u0323\u0301b", "ﬁ ligature", "Å \u212b A\u030a",
    "Hello world", " Hello", "Hello ", "Hello  world", "  leading", "trailing  ", "hello\nworld", "\n", "\n\n", "\n\n\n", " \n", "\n ",
    "\r\n", "\r\n\r\n", " \r\n \r\n ", "\t", "\t\t", " \t \t ", "a\tb", "\u00a0", "\u00a0\u00a0x", "x\u2003y", "\u3000全角\u3000", "\u200b", "\ufeff", "\u2028\u2029", "\x0b\x0c", "\x85",
    "\x00", "\x00\x01\x02", "\x1b[31mred\x1b[0m", "\x7f", "I'm you're he's we've they'll I'd can't", "I'M YOU'RE HE'S", "'s't're", "'\u017f", "''''", "don’t",
    "0", "12", "123", "1234", "12345", "1234567890123", "3.14", "1,000", "½¾²³", "Ⅳ Ⅻ", "٠١٢٣", "१२३", "x1y2z3", "1 2 3", "1st 2nd",
    "你好世界", "你好 世界", "こんにちは、世界!", "안녕하세요", "漢字かな交じり文", "𠀀𠀁", "Привет", "ПРИВЕТ", "γειά σου Κόσμε", "مرحبا", "שלום", "नमस्ते", "สวัสดี", "ǅungla ǆ",
    "😀", "😀😁", "👨‍👩‍👧‍👦", "👍🏽", "🇩🇪🇫🇷", "❤️", "e😀e", " 😀", "1️⃣", "\U0001f9d1\u200d\U0001f680 x", "\U0010ffff", "\ufffd", "\uffff",
    "def f(x):\n    return x**2  # square\n", "if (a&&b||!c) { d[0] = e->f; }", "#include <stdio.h>\nint main(void){return 0;}", "{\"a\": [1, 2, {\"b\": null}]}", "<html><body>&amp;</body></html>", "a/b/c//d", "http://example.org/?q=1&r=%20#x", "C:\\path\\file", "$$$", "!!!", "...", "---", "___", "(((", "a.b,c;d:e", "--flag=value", "\\n\\t", "`code`", "~~~", "@user #tag",
    "<s>", "</s>", "<|im_start|>user\nhi<|im_end|>\n", "a<|im_end|>b", "<|im_end|><|im_end|>", " <|im_end|> ", "<|im_end", "|im_end|>", "<|endoftext|>", "<<|im_end|>>", "<mask>", "a <mask> b", "a<mask>b", "a  <mask>  b", "word_WORD_word", "WORD", "a WORD b", "aWORDb", "[LOW]", "x [LOW]y", "<tool>", "a<tool>b </tool>",
    "<0x0A>", "▁", "▁▁", "a▁b", " ▁ ", "Ġ", "Ċ", "ĠHello", "ÃƒÂ", "a" * 100, "ab" * 60, " " * 100, "\n" * 50, "x" + " " * 257 + "y", "0" * 100, "é" * 40, "你" * 60, "😀" * 20, "-" * 90, "a\u0301" * 30,
    "UPPERlower", "camelCaseWord", "XMLHttpRequest", "ALLCAPS", "iPhone", "ÄÖÜäöü", "mixed中文English", "text\u00adsoft", "zero\u200cwidth\u200dnon", "İstanbul ıI", "ſt", "ß ẞ", "naïve façade", "co-op", "rock'n'roll",
]


def fuzz(count):
    rng = random.Random(20251)
    pools = [
        "abcdefghijklmnopqrstuvwxyz", "ABCXYZ", "0123456789", " \t\n\r", "'’\".,;:!?()[]{}<>|/\\-_=+*&^%$#@~`", "éüñßæøåçÉ",
        "你好世界こんにちは안녕", "приветмир", "مرحباשלום", "\u0301\u0308\u0323\u200d\u200b\ufe0f\u00a0\u2003\u3000", "😀👍🏽👨🎉🇩🇪", "\x00\x01\x1f\x7f\x85", "▁ĠĊ½²Ⅳ",
    ]
    words = ["<|im_end|>", "<|im_start|>", "<s>", "</s>", "<mask>", "WORD", "[LOW]", "<tool>", " the", " don't", "'ll", "\r\n", "  ", "1234"]
    texts = []
    for _ in range(count):
        parts = []
        for _ in range(rng.randint(1, 30)):
            r = rng.random()
            if r < 0.12:
                parts.append(rng.choice(words))
            elif r < 0.2:
                code = rng.choice([rng.randrange(0x80, 0x3000), rng.randrange(0x20, 0x10000), rng.randrange(0x10000, 0x20000)])
                parts.append("x" if 0xD800 <= code < 0xE000 else chr(code))
            else:
                pool = rng.choice(pools)
                parts.append("".join(rng.choice(pool) for _ in range(rng.randint(1, 4))))
        texts.append("".join(parts))
    return texts


def assigned(text):
    """Leaves out what newer versions of Unicode may classify anew: the libraries follow different versions."""
    import unicodedata
    return all(unicodedata.category(c) != "Cn" or ord(c) & 0xFFFE == 0xFFFE for c in text)


TEXTS = NASTY + [t for t in fuzz(320) if assigned(t)][:250]

SPECIALS = [AddedToken("<s>", special=True, normalized=False), AddedToken("</s>", special=True, normalized=False),
            AddedToken("<|im_start|>", special=True, normalized=False), AddedToken("<|im_end|>", special=True, normalized=False),
            AddedToken("<|endoftext|>", special=True, normalized=False)]


def trained(tokenizer, size, alphabet=()):
    trainer = trainers.BpeTrainer(vocab_size=size, show_progress=False, initial_alphabet=list(alphabet), special_tokens=[])
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def byte_level(pre, size=560):
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre
    tokenizer.decoder = decoders.ByteLevel()
    return trained(tokenizer, size, pre_tokenizers.ByteLevel.alphabet())


def split(regex, behavior="isolated"):
    return pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(regex), behavior), pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


def gpt2():
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=False))
    tokenizer.post_processor = processors.ByteLevel(trim_offsets=False)
    tokenizer.add_tokens(SPECIALS + [
        AddedToken("<mask>", special=True, lstrip=True, rstrip=False, normalized=False),
        AddedToken("WORD", single_word=True, normalized=False),
        AddedToken("<tool>", normalized=False, rstrip=True)])
    return tokenizer


def gpt2_prefix_space():
    tokenizer = byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True))
    tokenizer.add_tokens(SPECIALS)
    return tokenizer


def smollm():
    tokenizer = byte_level(pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]))
    tokenizer.add_tokens(SPECIALS)
    return tokenizer


def template(tokenizer, prefix, suffix=""):
    names = [n for n in (prefix, suffix) if n]
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(
            single=f"{prefix} $A {suffix}".strip(), pair=f"{prefix} $A $B {suffix}".strip(),
            special_tokens=[(n, tokenizer.token_to_id(n)) for n in names])])


def llama3():
    tokenizer = byte_level(split(LLAMA3))
    tokenizer.add_tokens(SPECIALS)
    template(tokenizer, "<s>")
    text = json.loads(tokenizer.to_str())
    text["model"]["ignore_merges"] = True
    # A whole piece that merging alone would not make.
    text["model"]["vocab"]["Ġeverywhere!"] = 1000
    text["model"]["vocab"]["ĠHello"] = 1001
    return Tokenizer.from_str(json.dumps(text))


def qwen():
    tokenizer = byte_level(split(QWEN))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.add_tokens(SPECIALS + [AddedToken("<tool>", special=False, normalized=False), AddedToken("[LOW]", normalized=True)])
    return tokenizer


def o200k():
    tokenizer = byte_level(split(O200K))
    tokenizer.add_tokens(SPECIALS)
    template(tokenizer, "<s>", "</s>")
    return tokenizer


def falcon():
    tokenizer = byte_level(pre_tokenizers.Sequence([
        pre_tokenizers.Punctuation("contiguous"), pre_tokenizers.ByteLevel(add_prefix_space=False),
        pre_tokenizers.Digits(individual_digits=False), pre_tokenizers.Split(Regex("[0-9][0-9][0-9]"), "isolated")]))
    tokenizer.add_tokens(SPECIALS)
    return tokenizer


def behaviors():
    tokenizer = byte_level(pre_tokenizers.Sequence([
        pre_tokenizers.Split("\n", "merged_with_previous"), pre_tokenizers.Split(Regex(r"\p{Lu}"), "merged_with_next"),
        pre_tokenizers.Split(Regex(r"\s+"), "contiguous"), pre_tokenizers.Split(Regex(r"[^#]+"), "isolated", invert=True),
        pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)]))
    tokenizer.add_tokens(SPECIALS)
    return tokenizer


def lowercase():
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Lowercase(), normalizers.Replace(Regex(r"\d"), "0")])
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trained(tokenizer, 480, pre_tokenizers.ByteLevel.alphabet())
    tokenizer.add_tokens(SPECIALS + [AddedToken("[low]", normalized=True)])
    return tokenizer


def byte_fallback(normalizer, pre, decoder, unk=True):
    """Characters first, bytes for those unseen, as Llama 2 does."""
    seed = Tokenizer(models.BPE(unk_token="<unk>"))
    if normalizer is not None:
        seed.normalizer = normalizer
    seed.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="never") if pre is None else pre
    trainer = trainers.BpeTrainer(vocab_size=420, show_progress=False, special_tokens=["<unk>", "<s>", "</s>"], limit_alphabet=120)
    seed.train_from_iterator([t.replace("\n", " ") for t in CORPUS], trainer)
    text = json.loads(seed.to_str())
    model = text["model"]
    old = sorted(model["vocab"], key=model["vocab"].get)
    pieces = old[:3] + ["<0x%02X>" % b for b in range(256)] + old[3:]
    model.update(vocab={p: i for i, p in enumerate(pieces)}, byte_fallback=True, fuse_unk=True, unk_token="<unk>" if unk else None)
    text["added_tokens"] = []
    tokenizer = Tokenizer.from_str(json.dumps(text))
    tokenizer.pre_tokenizer = pre
    tokenizer.decoder = decoder
    tokenizer.add_special_tokens([AddedToken("<unk>", special=True), AddedToken("<s>", special=True, normalized=False), AddedToken("</s>", special=True, normalized=False)])
    tokenizer.post_processor = processors.TemplateProcessing(
        single="<s> $A", pair="<s> $A <s> $B", special_tokens=[("<s>", tokenizer.token_to_id("<s>"))])
    return tokenizer


def llama2():
    return byte_fallback(
        normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]), None,
        decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]))


def metaspace():
    return byte_fallback(
        None, pre_tokenizers.Metaspace(prepend_scheme="first", split=True), decoders.Sequence([decoders.Metaspace(prepend_scheme="first"), decoders.ByteFallback(), decoders.Fuse()]))


def smollm2(path):
    from gguf import GGUFReader

    fields = GGUFReader(path).fields
    tokens, types = fields["tokenizer.ggml.tokens"].contents(), fields["tokenizer.ggml.token_type"].contents()
    merges = [tuple(m.split(" ")) for m in fields["tokenizer.ggml.merges"].contents()]
    tokenizer = Tokenizer(models.BPE(vocab={t: i for i, t in enumerate(tokens)}, merges=merges))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)])
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.add_special_tokens([AddedToken(t, special=True, normalized=False) for t, k in zip(tokens, types) if k == 3])
    return tokenizer


def golden(tokenizer):
    """What differs from the obvious: added (of the first 30) and plain from ids, decoded from the text, skipped from decoded."""
    cases = []
    for text in TEXTS:
        tokenizer.encode_special_tokens = False
        parsed = tokenizer.encode(text, add_special_tokens=False).ids
        added = tokenizer.encode(text, add_special_tokens=True).ids
        tokenizer.encode_special_tokens = True
        plain = tokenizer.encode(text, add_special_tokens=False).ids
        case = {"ids": parsed}
        if added != parsed and len(cases) < 30:
            case["added"] = added
        if plain != parsed:
            case["plain"] = plain
        decoded = tokenizer.decode(parsed, skip_special_tokens=False)
        if decoded != text:
            case["decoded"] = decoded
        skipped = tokenizer.decode(parsed, skip_special_tokens=True)
        if skipped != decoded:
            case["skipped"] = skipped
        cases.append(case)
    return cases


def write(path, cases):
    lines = ",\n".join(json.dumps(c, ensure_ascii=True, separators=(",", ":")) for c in cases)
    path.write_text("[\n" + lines + "\n]\n")


def main():
    out = pathlib.Path(sys.argv[1])
    write(out / "texts.json", TEXTS)
    for make in (gpt2, gpt2_prefix_space, smollm, llama3, qwen, o200k, falcon, behaviors, lowercase, llama2, metaspace):
        folder = out / make.__name__
        folder.mkdir(parents=True, exist_ok=True)
        tokenizer = make()
        tokenizer.save(str(folder / "tokenizer.json"), pretty=False)
        write(folder / "golden.json", golden(Tokenizer.from_file(str(folder / "tokenizer.json"))))
    if len(sys.argv) > 2:
        write(out / "smollm2.json", golden(smollm2(sys.argv[2])))


main()
