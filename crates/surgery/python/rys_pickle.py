"""Turns result pickles of RYS into JSON for `neuro import`.

    python rys_pickle.py --layers 64 --model org/name math=math_results.pkl eq=eq_results.pkl > scan.json
    python rys_pickle.py --layers 64 math=old_math.pkl,16 eq=old_eq.pkl,16,100 > scan.json

Each argument is NAME=FILE[,QUESTIONS[,SCALE]]: the probe, its pickle, how many questions it asked (needed where the file has
scores only), and what its scores are divided by to lie in [0, 1] (default 1; old EQ scores are percent).

What RYS writes (src/workers/shared_queue.py, math_worker.py, eq_worker.py, scripts/run_exllama_*_worker.py): one dictionary,
rewritten whole for each result. Keys are tuples of all layers in order of visits; those of older runs are blocks (i, j). Values
are dictionaries with `score` and `responses`, a list with `qid` and `score` of every question, of which math answers without a
number have an empty `extracted` and EQ answers without one a `confidence` of 0. The combined worker's own file has
`math_score` and `eq_score` instead; name it twice: math=FILE,16 eq=FILE,16. Older values are plain numbers.

A pickle can run code when it is read; this script reads one that holds plain values and NumPy scalars only and refuses all
others, and neuro itself never reads one.
"""

import argparse
import io
import json
import math
import pickle
import re
import sys

NUMPY = {("numpy", "dtype"), ("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar")}
PAIR = re.compile(r"\(?\s*(\d+)\s*,\s*(\d+)\s*\)?")


class PlainUnpickler(pickle.Unpickler):
    """Knows NumPy scalars and nothing else that has a name."""

    def find_class(self, module, name):
        if (module, name) in NUMPY:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"the file asks for {module}.{name}, which no plain result needs; not read")


def path_of(key, depth):
    """All layers of a result's key in order of visits."""
    if isinstance(key, str):
        text = key.strip().lower()
        pair = PAIR.fullmatch(text)
        if not pair and not text.startswith("layers:"):
            raise SystemExit(f"{key!r} is no path: expected (i, j) or layers:0,1,…")
        key = pair.groups() if pair else [part for part in text.removeprefix("layers:").split(",") if part.strip()]
    if not isinstance(key, (tuple, list)) or not key:
        raise SystemExit(f"{key!r} is no path: expected (i, j) or all layers in order")
    numbers = tuple(int(part) for part in key)
    if len(numbers) != 2:
        return numbers
    start, end = numbers
    if numbers != (0, 0) and not 0 <= start < end <= depth:
        raise SystemExit(f"{key!r} is no block of {depth} layers")
    return (*range(end or depth), *range(start, depth if end else 0))


def unit(value, scale):
    score = float(value) / scale
    if not math.isfinite(score) or not 0 <= score <= 1:
        raise SystemExit(f"{value!r} is no score in [0, {scale:g}]; name another SCALE")
    return score


def score_of(value, name, scale):
    if isinstance(value, dict):
        value = value.get("score", value.get(f"{name}_score"))
    return None if value is None else unit(value, scale)


def answers_of(value, scale):
    """`[id, score, whether no answer was found]` of every question; none where only the mean is there."""
    responses = value.get("responses") if isinstance(value, dict) else None
    if not responses:
        return None
    is_none = lambda response: not response.get("extracted") or response.get("confidence") == 0
    return [[str(response["qid"]), unit(response["score"], scale), is_none(response)] for response in responses]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, required=True, help="the model's number of layers")
    parser.add_argument("--model", default="unknown", help="the model's name")
    parser.add_argument("probes", nargs="+", metavar="NAME=FILE[,QUESTIONS[,SCALE]]")
    options = parser.parse_args()
    probes, results = {}, {}
    for probe in options.probes:
        name, _, rest = probe.partition("=")
        file, *numbers = rest.split(",")
        scale = float(numbers[1]) if len(numbers) > 1 else 1.0
        with open(file, "rb") as opened:
            scores = PlainUnpickler(io.BytesIO(opened.read())).load()
        if not isinstance(scores, dict):
            raise SystemExit(f"{file} holds a {type(scores).__name__}, expected a dictionary of results")
        asked = set()
        for key, value in scores.items():
            path, score, answers = path_of(key, options.layers), score_of(value, name, scale), answers_of(value, scale)
            if score is None:
                continue
            entry = results.setdefault(path, {"layers": path, "scores": {}})
            entry["scores"][name] = score
            if answers:
                entry.setdefault("answers", {})[name] = answers
                asked.update(question for question, *_ in answers)
        questions = int(numbers[0]) if numbers else len(asked)
        if questions == 0:
            raise SystemExit(f"{file} holds scores only; say how many questions were asked: {name}={file},QUESTIONS")
        probes[name] = {"questions": questions}
    document = {
        "kind": "scan",
        "tool": "RYS",
        "model": options.model,
        "layers": options.layers,
        "probes": probes,
        "results": list(results.values()),
    }
    json.dump(document, sys.stdout)
    print()


if __name__ == "__main__":
    main()
