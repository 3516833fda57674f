#!/usr/bin/env python3
"""Writes unigram.json: small SentencePiece Unigram models and what they give.

Needs Debian's python3-sentencepiece. Run it in this folder. The models are
trained on the sentences below with normalisation rules of our own, so that the
file stays small; one of them has byte tokens.
"""
import json
import os
import random
import tempfile

import sentencepiece

WORDS = """once upon a time there was little girl named Lily she lived with her
mother and father in small house near the forest every day walked to river where
fish swam under bridge water cold clear stones round birds sang trees wind moved
leaves sun shone over hills children played games ran home for supper bread soup
apples café naïve über straße 123 2024 3.14 hello, world! don't stop.""".split()

TEXTS = [
    "", " ", "a", "once upon a time", "  two  spaces   inside and at the end  ",
    "Lily walked to the river.", "café naïve", "CAFÉ ÜBER", "ﬁsh and ﬂag",
    "half-width ｶ and full-width Ａ", "1234567890", "你好，世界", "emoji 😀🚀 end",
    "tab\there", "line\nfeed", "zzzzzzzzzzzzzzzz", "don't stop. don’t stop…",
    "mixed 中a中 unknown", "<unk> <s> </s>", "▁already▁escaped",
    "a" * 100, "the" * 50, "é" * 20, "…", "ﬁ", "no-break\u00a0space",
]

# What a text becomes: code points, in hex, and what replaces them.
RULES = {"ﬁ": "fi", "ﬂ": "fl", "…": "...", "’": "'", "É": "é", "Ü": "ü",
         "Ａ": "a", "\u00a0": " ", "\t": " ", "\n": " ", "ｶ": "カ", "zz": "s"}


def proto_charsmap(path):
    """The precompiled map: field 2 of NormalizerSpec, field 3 of ModelProto."""
    def fields(data):
        at = 0

        def varint():
            nonlocal at
            value = shift = 0
            while True:
                byte = data[at]
                at += 1
                value |= (byte & 127) << shift
                shift += 7
                if byte < 128:
                    return value
        while at < len(data):
            key = varint()
            if key & 7 == 2:
                size = varint()
                yield key >> 3, data[at:at + size]
                at += size
            elif key & 7 == 0:
                yield key >> 3, varint()
            else:
                at += 4 if key & 7 == 5 else 8
    with open(path, "rb") as file:
        spec = next(v for k, v in fields(file.read()) if k == 3)
    return next((v for k, v in fields(spec) if k == 2), b"")


def train(folder, name, **options):
    rng = random.Random(1)
    sentences = os.path.join(folder, "sentences")
    with open(sentences, "w") as file:
        for _ in range(3000):
            file.write(" ".join(rng.choices(WORDS, k=8)) + "\n")
    rules = os.path.join(folder, "rules.tsv")
    with open(rules, "w") as file:
        for source, target in RULES.items():
            codes = [" ".join("%X" % ord(c) for c in t)
                     for t in (source, target)]
            file.write("\t".join(codes) + "\n")
    prefix = os.path.join(folder, name)
    sentencepiece.SentencePieceTrainer.train(
        input=sentences, model_prefix=prefix, model_type="unigram",
        normalization_rule_tsv=rules, minloglevel=2, num_threads=1,
        pad_id=0, eos_id=1, unk_id=2, bos_id=-1, **options)
    model = sentencepiece.SentencePieceProcessor(model_file=prefix + ".model")
    size = model.get_piece_size()

    def kind(i):
        return (2 if model.is_unknown(i) else 3 if model.is_control(i) else
                6 if model.is_byte(i) else 5 if model.is_unused(i) else 1)
    return {
        "name": name,
        "add_space_prefix": options.get("add_dummy_prefix", True),
        "remove_extra_whitespaces":
            options.get("remove_extra_whitespaces", True),
        "tokens": [model.id_to_piece(i) for i in range(size)],
        "scores": [model.get_score(i) for i in range(size)],
        "types": [kind(i) for i in range(size)],
        "charsmap": proto_charsmap(prefix + ".model").hex(),
        "texts": [{"text": t, "ids": model.encode(t)} for t in TEXTS],
    }


with tempfile.TemporaryDirectory() as temporary:
    models = [
        train(temporary, "plain", vocab_size=110),
        train(temporary, "bytes", vocab_size=364, byte_fallback=True),
        train(temporary, "spaces", vocab_size=100,
              remove_extra_whitespaces=False),
    ]
with open("unigram.json", "w") as out:
    json.dump(models, out, ensure_ascii=False, separators=(",", ":"))
    out.write("\n")
