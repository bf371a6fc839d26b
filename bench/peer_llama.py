"""Peer (c): one configuration in one process of llama.cpp, the way of llm-circuit-finder.

    python peer_llama.py MODEL.gguf PROMPTS.json --threads 2            answers all prompts
    python peer_llama.py MODEL.gguf PROMPTS.json --threads 2 --decode 48    each of 48 tokens behind the first prompt

Prints one line of JSON. Prompts are answered one after the other, as a server with one slot does, and what a prompt has
in common with the one before it is taken from the cache. Loading counts: every configuration is a file of its own.
"""

import argparse
import json
import time
from pathlib import Path

import numpy as np
from llama_cpp import Llama


def answer(model, prompt, new_tokens):
    """Greedy tokens behind a prompt, always `new_tokens` of them, with the seconds until the first and for the rest."""
    tokens, start = [], time.perf_counter()
    first = start
    for token in model.generate(prompt, temp=0.0, repeat_penalty=1.0, reset=True):
        tokens.append(token)
        if len(tokens) == 1:
            first = time.perf_counter()
        if len(tokens) == new_tokens:
            break
    return tokens, first - start, time.perf_counter() - first


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    parser.add_argument("--decode", type=int, metavar="TOKENS")
    arguments = parser.parse_args()
    shared = json.loads(arguments.prompts.read_text())
    start = time.perf_counter()
    model = Llama(
        model_path=str(arguments.model),
        n_ctx=1024,
        n_batch=512,
        n_threads=arguments.threads,
        n_threads_batch=arguments.threads,
        verbose=False,
    )
    load = time.perf_counter() - start
    if arguments.decode:
        result = decoding(model, shared["prompts"][0], arguments.decode)
    else:
        answers = [answer(model, prompt, shared["new_tokens"]) for prompt in shared["prompts"]]
        result = {
            "tokens": [tokens for tokens, _, _ in answers],
            "prefill_seconds": sum(prefill for _, prefill, _ in answers),
            "decode_seconds": sum(decode for _, _, decode in answers),
        }
    seconds = time.perf_counter() - start
    print(json.dumps({"load_seconds": load, "seconds": seconds, **result}))


def decoding(model, prompt, new_tokens):
    """Milliseconds of reading one token behind a prompt and all before it, logits included; choosing is left out."""
    model.reset()
    model.eval(prompt)
    times = []
    while len(times) < new_tokens:
        # The bindings copy logits into `scores` only where all were asked for.
        logits = np.ctypeslib.as_array(model._ctx.get_logits(), shape=(model.n_vocab(),))
        token = int(logits.argmax())
        start = time.perf_counter()
        model.eval([token])
        times.append((time.perf_counter() - start) * 1e3)
    return {"best_ms": min(times), "median_ms": sorted(times)[len(times) // 2]}


if __name__ == "__main__":
    main()
