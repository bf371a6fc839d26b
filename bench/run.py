"""Runs the benchmark, or parts of it, and prints its table.

    python3 bench/run.py [a] [b] [c] [d] [e] [f] [g] [--quick | --paths N] [--out FILE]

Parts a to e when none is named.
Ours and the peers take turns in one run on the same prompts; a part whose input is missing is skipped by name. Raw
numbers go to target/bench/results.json as they come. See bench/README.md.
"""

import argparse
import datetime
import os
import platform
import subprocess
import sys
import time
from pathlib import Path

from settings import DECODE_BLOCKS, DEPTH, PEER_BLOCKS, PLAIN_BLOCKS, REPOSITORY, WORK, stratified, write_json
from sides import THREADS, Failed, Llama, Missing, Ours, Rys, prompts, talk
from table import table

PARTS = {
    "a": "against our own plain way",
    "b": "against the author's worker",
    "c": "against one process of llama.cpp per configuration",
    "d": "efficiency against the matmul peak",
    "e": "growth with depth and questions",
    "f": "decoding at batch 1 beside llama.cpp",
    "g": "drafts on a phantom",
}
TYPES = ("f32", "q8_0")
# What runs when no part is named.
COMPARISON = "abcde"
# Whole triangles that a part needs, (type, scoring).
NEEDS = {
    "a": [("f32", "generation"), ("f32", "likelihood")],
    "b": [(compute, scoring) for scoring in ("likelihood", "generation") for compute in reversed(TYPES)],
    "c": [("q8_0", "generation")],
    "d": [(compute, "likelihood") for compute in TYPES],
    "e": [],
}
# llama.cpp is timed on the baseline and on a long path; the line through both gives the mean length.
SHORT, LONG = (0, 0), (3, 21)
QUICK_BLOCKS = 2
# The types of the author's worker, and on which part of the blocks each is timed: one in so many. On processors without
# bfloat16 units that type takes three times as long, and the line through two blocks says so as well as twelve.
PEER_TYPES = {"float32": 1, "bfloat16": 6}
# Decoding is timed so often on every path, ours and the peer in turns.
DECODE_ROUNDS = 3
# What a screening may take of all layer-tokens; few questions need more, and get it.
SCREEN = 0.2
# Growth with depth at one number of questions, and with questions at the middle depth.
GROWTH_TYPE = "q8_0"
GROWTH_DEPTHS, AT_QUESTIONS = (8, 16, 32), 4
GROWTH_QUESTIONS = (2, 4, 8, 16)


class Run:
    """The measurements of one run, by name, written after each."""

    def __init__(self, file, parts, quick, paths):
        self.file, self.quick, self.paths = file, quick, QUICK_BLOCKS if quick else paths
        self.start = time.monotonic()
        commit = subprocess.run(
            ["git", "rev-parse", "HEAD"], cwd=REPOSITORY, text=True, capture_output=True, check=False
        )
        self.results = {
            "begun": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds"),
            "commit": commit.stdout.strip(),
            "machine": f"{platform.system()} {platform.machine()}",
            "threads": THREADS,
            "parts": parts,
            "quick": quick,
            "paths": self.paths,
            "skipped": {},
            "failed": {},
            "measurements": [],
        }

    def add(self, side, name, measure, *arguments, **options):
        """Takes one measurement; what cannot be measured, and what fails, is named and left out."""
        load = os.getloadavg()[0] if hasattr(os, "getloadavg") else None
        try:
            numbers = measure(*arguments, **options)
        except Missing as missing:
            self.skip(f"{side} {name}", missing)
            return
        except Failed as failed:
            talk(f"failed: {side} {name}: {failed}")
            self.results["failed"][f"{side} {name}"] = str(failed)
            write_json(self.file, self.results)
            return
        talk(f"{side} {name}: {numbers['seconds']:.2f} s" if 'seconds' in numbers else f"{side} {name}")
        self.results["measurements"].append({"side": side, "name": name, "load_before": load, **numbers})
        self.results["minutes"] = (time.monotonic() - self.start) / 60
        write_json(self.file, self.results)

    def skip(self, what, why):
        talk(f"skipped: {what}, for want of {why}")
        self.results["skipped"][what] = str(why)
        write_json(self.file, self.results)


def peers(run, parts, prompts_file):
    """The peers that can be measured: their groups of calls (side, name, function, arguments), the parts that they
    serve, and the processes to close in the end."""
    groups, served, workers = [], set(), {}
    if "b" in parts:
        for dtype in PEER_TYPES:
            try:
                workers[dtype] = Rys(dtype, prompts_file)
                served.add("b")
            except Missing as missing:
                run.skip(f"part b, {dtype}", missing)
        # All types of a block together, so that they meet the same state of the machine.
        for place, block in enumerate(stratified(DEPTH, QUICK_BLOCKS if run.quick else PEER_BLOCKS)):
            types = [dtype for dtype in workers if run.quick or place % PEER_TYPES[dtype] == PEER_TYPES[dtype] // 2]
            groups.append([(f"rys {dtype}", str(block), workers[dtype].measure, block) for dtype in types])
    if "c" in parts:
        try:
            llama = Llama(prompts_file)
            served.add("c")
            groups += [[("llama", str(block), llama.measure, block)] for block in (SHORT, LONG)]
        except Missing as missing:
            run.skip("part c", missing)
    return groups, served, workers.values()


def compare(run, parts, ours, prompts_file):
    """Parts a to d: whole triangles of ours, or the chosen number of its paths, and the peers' measurements spread evenly between them."""
    groups, served, workers = peers(run, parts, prompts_file)
    # Without its peer a part needs no scan of ours either.
    scans = list(dict.fromkeys(need for part in parts if part in served | {"a", "d"} for need in NEEDS[part]))
    try:
        blocks = of_triangle(DEPTH, run.paths)
        for turn, (compute, scoring) in enumerate(scans):
            for group in groups[turn :: len(scans)]:
                for call in group:
                    run.add(*call)
            run.add("ours", f"{compute} {scoring}", ours.measure, compute, scoring, blocks=blocks, peaks=True)
        if "b" in served:
            screened = {"blocks": blocks, "screen": SCREEN}
            run.add("screened", "q8_0 likelihood", ours.measure, "q8_0", "likelihood", **screened)
    finally:
        for worker in workers:
            worker.close()
    if "a" in parts:
        for block in stratified(DEPTH, 1 if run.quick else PLAIN_BLOCKS):
            for scoring in ("generation", "likelihood"):
                name = f"f32 {scoring} {block}"
                run.add("plain", name, ours.measure, "f32", scoring, blocks=[block], way="plain")


def of_triangle(depth, paths):
    """The baseline and so many blocks, stratified by length; none means the whole triangle."""
    return [(0, 0), *stratified(depth, paths)] if paths else None


def growth(run, ours):
    """Part e: the triangle by log-probability, deeper and with more questions."""
    depths, counts = (GROWTH_DEPTHS, GROWTH_QUESTIONS) if not run.quick else ((2, 4, 6), (1, 2, 4))
    cells = [(depth, AT_QUESTIONS) for depth in depths] + [(depths[1], count) for count in counts]
    for depth, count in dict.fromkeys(cells):
        name = f"{GROWTH_TYPE} {depth} layers, {count} questions"
        blocks = None if run.quick else of_triangle(depth, run.paths)
        run.add("growth", name, ours.measure, GROWTH_TYPE, "likelihood", depth=depth, questions=count, blocks=blocks)


def decode(run, ours, prompts_file):
    """Part f: one token after the other along paths of four lengths, ours and llama.cpp in turns on the same weights."""
    llama = None
    try:
        llama = Llama(prompts_file)
    except Missing as missing:
        run.skip("part f, llama.cpp", missing)
    for turn in range(1 if run.quick else DECODE_ROUNDS):
        for block in DECODE_BLOCKS:
            run.add("decode", f"{block} {turn}", ours.decode, block, llama.base if llama else None)
            if llama:
                run.add("decode llama", f"{block} {turn}", llama.decode, block)


def phantom(run, ours):
    """Part g: the phantom's answers with drafts and without, in turns."""
    for turn in range(1 if run.quick else DECODE_ROUNDS):
        for drafts in (True, False):
            run.add("phantom", f"{'with' if drafts else 'without'} drafts {turn}", ours.phantom, drafts)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("parts", nargs="*", metavar="PART", help="a to g; a to e when none is named")
    size = parser.add_mutually_exclusive_group()
    size.add_argument(
        "--quick", action="store_true", help="few paths, to see that everything runs; no numbers to keep"
    )
    size.add_argument(
        "--paths",
        type=int,
        metavar="N",
        help="so many blocks of ours, stratified by length, instead of the whole triangle: quicker, and less is shared",
    )
    parser.add_argument("--out", type=Path, default=WORK / "results.json")
    arguments = parser.parse_args()
    unknown = [part for part in arguments.parts if part not in PARTS]
    if unknown:
        parser.error(f"unknown part {unknown[0]}; parts are " + ", ".join(f"{k} ({v})" for k, v in PARTS.items()))
    parts = arguments.parts or list(COMPARISON)
    WORK.mkdir(parents=True, exist_ok=True)
    run = Run(arguments.out, parts, arguments.quick, arguments.paths)
    prompts_file, missing = prompts()
    if missing:
        run.skip("the author's questions, in whose place there are random tokens", missing)
    ours = Ours(prompts_file)
    if set(parts) - set("efg"):
        compare(run, parts, ours, prompts_file)
    if "e" in parts:
        growth(run, ours)
    if "f" in parts:
        decode(run, ours, prompts_file)
    if "g" in parts:
        phantom(run, ours)
    print(table(run.results))
    if run.results["failed"]:
        sys.exit(1)


if __name__ == "__main__":
    main()
