"""Turns the author's 16 math questions into tokens with his own code, so that every side reads the same prompts.

    python make_prompts.py CHECKPOINT PROMPTS.json --rys CHECKOUT

`prompts` are the token ids of each question, `continuations` the first tokens of each right answer, which are scored
where nothing is generated. Without --rys the prompts are random tokens of the same count and the same common prefix:
time does not depend on what they say, but no peer can be asked them.
"""

import argparse
import contextlib
import json
import random
import sys
from pathlib import Path

from settings import NEW_TOKENS, QUESTIONS, SCORED_TOKENS, SEED, SHAPE, write_json

# Of the real prompts: lengths sum to 1,821 tokens, 51 of them in common.
COMMON = 51
LENGTHS = [114] * 13 + [113] * 3


def questions_of(checkout, checkpoint):
    """The author's prompts as his worker makes them, and the beginnings of the right answers."""
    sys.path.insert(0, str(checkout))
    from src.workers.math_worker import pretokenize_dataset
    from transformers import AutoTokenizer

    dataset = json.loads((checkout / "datasets" / "math_16.json").read_text())
    tokenizer = AutoTokenizer.from_pretrained(checkpoint, local_files_only=True)
    with contextlib.redirect_stdout(sys.stderr):
        tokenized = pretokenize_dataset(dataset, tokenizer, "cpu")
    prompts = [entry["input_ids"][0].tolist() for entry in tokenized.values()]
    answers = [tokenizer(str(entry["answer"]))["input_ids"][:SCORED_TOKENS] for entry in tokenized.values()]
    return prompts, answers


def random_questions():
    """Prompts of the same lengths and common prefix as the author's."""
    generator = random.Random(SEED)

    def tokens(count):
        return [generator.randrange(SHAPE["vocab_size"]) for _ in range(count)]

    common = tokens(COMMON)
    return [common + tokens(length - COMMON) for length in LENGTHS], [tokens(SCORED_TOKENS) for _ in LENGTHS]


def describe(prompts):
    """Counts that a reader can check: all tokens, tokens in common, nodes of the token trie."""
    nodes = {tuple(prompt[: length + 1]) for prompt in prompts for length in range(len(prompt))}
    common = next((index for index, column in enumerate(zip(*prompts)) if len(set(column)) > 1), min(map(len, prompts)))
    return {"tokens": sum(map(len, prompts)), "common_prefix": common, "trie_nodes": len(nodes)}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--rys", type=Path, help="the author's checkout")
    arguments = parser.parse_args()
    if arguments.rys:
        prompts, continuations = questions_of(arguments.rys, arguments.checkpoint)
    else:
        prompts, continuations = random_questions()
    assert len(prompts) == QUESTIONS
    source = "the author's math_16" if arguments.rys else "random tokens"
    result = {"source": source, **describe(prompts), "new_tokens": NEW_TOKENS}
    write_json(arguments.out, result | {"prompts": prompts, "continuations": continuations})


if __name__ == "__main__":
    main()
