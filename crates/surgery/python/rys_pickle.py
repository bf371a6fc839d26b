"""Turns result pickles of RYS into JSON for `neuro import`.

    python rys_pickle.py --layers 64 --model org/name math=math_results.pkl,16 eq=eq_results.pkl,16,100 > scan.json

Each argument is NAME=FILE,QUESTIONS[,SCALE]: the probe, its pickle, how many questions it asks, and what its scores are
divided by to lie in [0, 1] (default 1; RYS's EQ scores go to 100). A pickle can run code when it is read; this script
reads one that holds plain values and NumPy scalars only and refuses all others, and neuro itself never reads one.

Keys are (i, j), a list of layers, or text such as "24,35" or "layers:0,1,2"; values are numbers, or dictionaries with
`score`.
"""

import argparse
import io
import json
import math
import pickle
import sys

NUMPY = {("numpy", "dtype"), ("numpy.core.multiarray", "scalar"), ("numpy._core.multiarray", "scalar")}


class PlainUnpickler(pickle.Unpickler):
    """Knows NumPy scalars and nothing else that has a name."""

    def find_class(self, module, name):
        if (module, name) in NUMPY:
            return super().find_class(module, name)
        raise pickle.UnpicklingError(f"the file asks for {module}.{name}, which no plain result needs; not read")


def path_of(key):
    """The key of a result as `config` or `layers`."""
    if isinstance(key, str):
        text = key.strip()
        name, _, rest = text.rpartition(":")
        numbers = [int(part) for part in rest.replace("(", "").replace(")", "").split(",")]
        key = tuple(numbers)
        if name == "layers":
            return {"layers": numbers}
    if not isinstance(key, (tuple, list)) or not key:
        raise SystemExit(f"{key!r} is no path: expected (i, j) or a list of layers")
    numbers = [int(part) for part in key]
    return {"config": numbers} if len(numbers) == 2 else {"layers": numbers}


def score_of(value, scale):
    if isinstance(value, dict):
        value = value.get("score")
    if value is None:
        return None
    score = float(value) / scale
    if not math.isfinite(score) or not 0 <= score <= 1:
        raise SystemExit(f"{value!r} is no score in [0, {scale:g}]; name another SCALE")
    return score


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--layers", type=int, required=True, help="the model's number of layers")
    parser.add_argument("--model", default="unknown", help="the model's name")
    parser.add_argument("probes", nargs="+", metavar="NAME=FILE,QUESTIONS[,SCALE]")
    options = parser.parse_args()
    probes, results = {}, {}
    for probe in options.probes:
        name, _, rest = probe.partition("=")
        file, questions, *scale = rest.split(",")
        probes[name] = {"questions": int(questions)}
        with open(file, "rb") as opened:
            scores = PlainUnpickler(io.BytesIO(opened.read())).load()
        if not isinstance(scores, dict):
            raise SystemExit(f"{file} holds a {type(scores).__name__}, expected a dictionary of results")
        for key, value in scores.items():
            path = path_of(key)
            entry = results.setdefault(json.dumps(path), {**path, "scores": {}})
            entry["scores"][name] = score_of(value, float(scale[0]) if scale else 1.0)
    document = {
        "kind": "scan",
        "tool": "RYS",
        "model": options.model,
        "layers": options.layers,
        "probes": probes,
        "results": list(results.values()),
    }
    json.dump(document, sys.stdout, indent=1)
    print()


if __name__ == "__main__":
    main()
