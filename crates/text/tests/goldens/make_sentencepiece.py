"""Trains tiny SentencePiece models and writes how they cut texts, for tests/sentencepiece.rs.

    pip install sentencepiece==0.2.3
    python make_sentencepiece.py                    the committed goldens: sentencepiece.json
    python make_sentencepiece.py OUT.json MODEL...  the same texts through models of others
"""

import base64
import io
import json
import sys
import tempfile
from pathlib import Path

import sentencepiece

assert sentencepiece.__version__ == "0.2.3", sentencepiece.__version__

NOUNS = "cat dog river stone winter garden letter mountain train kitchen captain number".split()
VERBS = "sees crosses remembers paints measures counts follows answers repeats forgets".split()
PLACES = "near the lake; behind a door; in 1984; at 7:30; under snow; with 3,141 others; über München; in São Paulo".split("; ")

TEXTS = [
    "", " ", "   ", "the cat", " the cat", "  the cat  ", "the  cat   sees\tthe\ndog", "The cat sees 3,141 dogs.", "\n", "\t\n x",
    "München, São Paulo, naïve", "ﬁne ½ Ⅷ ｆｕｌｌ", "日本語 is unknown", "🦀🦀 crab", "a" * 40, "cat▁dog", "<tool> the cat<tool>dog",
    "xyzzy qqq", "don't! can't? (won't)", "e\u0301 and é", "the cat sees the dog near the lake and answers",
]


def sentences():
    for i, noun in enumerate(NOUNS):
        for j, verb in enumerate(VERBS):
            other, place = NOUNS[(i * 5 + j * 3 + 1) % len(NOUNS)], PLACES[(i + j) % len(PLACES)]
            yield f"the {noun} {verb} the {other} {place}"
            yield f"A {other} {verb} no {noun}, and the {noun} answers: don't!"


def train(**options):
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=sentences(), model_writer=model, num_threads=1, character_coverage=1.0, minloglevel=2, **options
    )
    return model.getvalue()


def rules():
    """Normalisation that fits into a page, instead of the quarter megabyte of NFKC."""
    file = tempfile.NamedTemporaryFile("w", suffix=".tsv", delete=False)
    for source, target in [("ﬁ", "fi"), ("½", "1/2"), ("\t", " "), ("\n", " "), ("é", "e"), ("e\u0301", "e"), ("Ⅷ", "VIII")]:
        file.write(" ".join(f"{ord(c):X}" for c in source) + "\t" + " ".join(f"{ord(c):X}" for c in target) + "\n")
    file.close()
    return file.name


def models():
    yield "bpe like Llama's", train(
        model_type="bpe", vocab_size=430, byte_fallback=True, normalization_rule_name="identity", split_digits=True,
        remove_extra_whitespaces=False, allow_whitespace_only_pieces=True, user_defined_symbols=["<tool>"],
    )
    yield "bpe without bytes", train(model_type="bpe", vocab_size=200, normalization_rule_name="identity")
    yield "unigram with rules", train(
        model_type="unigram", vocab_size=150, normalization_rule_tsv=rules(), user_defined_symbols=["<tool>"],
        hard_vocab_limit=False,
    )
    yield "unigram with bytes and no prefix", train(
        model_type="unigram", vocab_size=400, byte_fallback=True, normalization_rule_name="identity", add_dummy_prefix=False,
        remove_extra_whitespaces=False, hard_vocab_limit=False,
    )


def document(named):
    goldens = []
    for name, model in named:
        processor = sentencepiece.SentencePieceProcessor(model_proto=model)
        ids = [processor.encode(text) for text in TEXTS]
        texts = [processor.decode(of_text) for of_text in ids]
        goldens.append({"name": name, "model": base64.b64encode(model).decode(), "ids": ids, "decoded": texts})
    return {"texts": TEXTS, "goldens": goldens}


if len(sys.argv) == 1:
    out, named = Path(__file__).with_name("sentencepiece.json"), models()
else:
    out, named = Path(sys.argv[1]), ((path, Path(path).read_bytes()) for path in sys.argv[2:])
out.write_text(json.dumps(document(named), ensure_ascii=False, separators=(",", ":")) + "\n")
