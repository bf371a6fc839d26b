"""Peer (b): times paths in the author's own worker code, on request.

    python peer_rys.py CHECKOUT CHECKPOINT PROMPTS.json --dtype float32 --threads 2

Reads one block `i,j` per line from stdin (`0,0` is the baseline) and answers each with one line of JSON. The process
keeps the model between requests, so that paths of several peers can be timed in turns; loading is not timed. What is
timed is what his worker does for a configuration: shallow-copied layers, all questions in one padded batch, `generate`.
"""

import argparse
import contextlib
import json
import sys
import time
from pathlib import Path

import torch


class Recorder:
    """A model whose answers are kept as tokens; his worker keeps only their text."""

    def __init__(self, model):
        self.model = model
        self.answers = []

    def generate(self, input_ids, **options):
        outputs = self.model.generate(input_ids=input_ids, **options)
        self.answers += outputs[:, input_ids.shape[1] :].tolist()
        return outputs


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkout", type=Path)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("prompts", type=Path)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], required=True)
    parser.add_argument("--threads", type=int, required=True)
    arguments = parser.parse_args()
    torch.set_num_threads(arguments.threads)
    replies = sys.stdout
    # His code prints as it goes; only replies belong on stdout.
    with contextlib.redirect_stdout(sys.stderr):
        serve(arguments, replies)


def serve(arguments, replies):
    sys.path.insert(0, str(arguments.checkout))
    from src.core.layer_config import ij_to_layers
    from src.core.layer_duplicator import build_model_with_layers
    from src.workers.math_worker import pretokenize_dataset, run_math_test_batched_moe
    from src.workers.model_utils import load_model_and_tokenizer

    tokenizer, model, description = load_model_and_tokenizer(
        model_path=str(arguments.checkpoint),
        trust_remote_code=False,
        local_files_only=True,
        torch_dtype=getattr(torch, arguments.dtype),
        device_map="cpu",
    )
    if model.dtype != getattr(torch, arguments.dtype):
        sys.exit(f"the model was loaded as {model.dtype}, not as {arguments.dtype}")
    dataset = json.loads((arguments.checkout / "datasets" / "math_16.json").read_text())
    questions = pretokenize_dataset(dataset, tokenizer, "cpu")
    shared = json.loads(arguments.prompts.read_text())
    if [entry["input_ids"][0].tolist() for entry in questions.values()] != shared["prompts"]:
        sys.exit(f"{arguments.prompts}: its prompts are not those of the author's worker")
    depth, new_tokens = description["num_layers"], shared["new_tokens"]
    print(json.dumps({"ready": True, "threads": torch.get_num_threads()}), file=replies, flush=True)
    for line in sys.stdin:
        i, j = map(int, line.split(","))
        start = time.perf_counter()
        path = ij_to_layers(depth, i, j)
        recorder = Recorder(build_model_with_layers(model, path))
        run_math_test_batched_moe(recorder, questions, tokenizer, batch_size=len(questions), max_new_tokens=new_tokens)
        seconds = time.perf_counter() - start
        reply = {"block": [i, j], "visits": len(path), "seconds": seconds, "tokens": recorder.answers}
        print(json.dumps(reply), file=replies, flush=True)


if __name__ == "__main__":
    main()
