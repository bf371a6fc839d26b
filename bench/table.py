"""The table of a run's raw numbers, in Markdown: `python3 bench/table.py [results.json]`."""

import json
import sys
from pathlib import Path

from settings import DECODE_BLOCKS, DEPTH, WORK, layers, mean_length

# Ratios that the project aims at: part b by (scoring, type), part c, part d by type, part e.
WANTED = {
    ("generation", "f32"): 3.0,
    ("generation", "q8_0"): 4.0,
    ("likelihood", "f32"): 4.5,
    ("likelihood", "q8_0"): 6.5,
    "c": 6.0,
    "f32": 0.70,
    "q8_0": 0.60,
    "growth": 0.15,
    "screened": 25.0,
    # Our time at batch 1 against llama.cpp's, and what k repeated layers cost against their count.
    "decode": 1.2,
    "repeats": 0.05,
}


def of_side(results, side):
    return [entry for entry in results["measurements"] if entry["side"] == side]


def scans(results):
    """Our scans by (scoring, type)."""
    pairs = {}
    for entry in of_side(results, "ours"):
        compute, scoring = entry["name"].split(" ")
        pairs[scoring, compute] = entry
    return pairs


def length_of(results):
    """Mean number of visits of our paths: the triangle's, where it was scanned whole."""
    scans = of_side(results, "ours")
    return scans[0]["mean_visits"] if scans else mean_length(DEPTH)


def at_length(points, length):
    """Seconds at a path length, on the line through (visits, seconds) by least squares."""
    if not points:
        return None
    mean_x = sum(x for x, _ in points) / len(points)
    mean_y = sum(y for _, y in points) / len(points)
    spread = sum((x - mean_x) ** 2 for x, _ in points)
    slope = sum((x - mean_x) * (y - mean_y) for x, y in points) / spread if spread else mean_y / mean_x
    return mean_y + slope * (length - mean_x)


def number(value, digits=2, unit=""):
    return "–" if value is None else f"{value:.{digits}f}{unit}"


def ratio(peer, ours):
    return None if peer is None or ours is None else peer / ours


def rows(title, header, lines):
    if not lines:
        return []
    bar = "|".join(["---", *["---:"] * (len(header) - 1)])
    return (
        [f"**{title}**", "", "| " + " | ".join(header) + " |", f"|{bar}|"]
        + ["| " + " | ".join(line) + " |" for line in lines]
        + [""]
    )


def part_a(results):
    lines = []
    for scoring in ("generation", "likelihood"):
        plain = [entry for entry in of_side(results, "plain") if entry["name"].startswith(f"f32 {scoring}")]
        points = [(entry["mean_visits"], entry["seconds_per_path"]) for entry in plain]
        engine = scans(results).get((scoring, "f32"), {}).get("seconds_per_path")
        slow = at_length(points, length_of(results))
        if slow is not None:
            blocks = ", ".join(entry["name"].split(" ", 2)[2] for entry in plain)
            lines.append(
                [
                    f"{scoring}, f32; plain on {blocks}",
                    number(slow),
                    number(engine),
                    number(ratio(slow, engine), 1, "×"),
                ]
            )
    return rows("a. Against our own plain way, seconds per path", ["", "plain", "engine", "ratio"], lines)


def part_b(results):
    peers = {}
    for dtype in ("float32", "bfloat16"):
        points = [(entry["visits"], entry["seconds"]) for entry in of_side(results, f"rys {dtype}")]
        if points:
            peers[dtype] = at_length(points, length_of(results))
    if not peers:
        return []
    best = min(peers.values())
    lines = [[f"the author's worker, {dtype}", number(seconds), "", "", ""] for dtype, seconds in peers.items()]
    for (scoring, compute), entry in scans(results).items():
        ours = entry["seconds_per_path"]
        wanted = number(WANTED[scoring, compute], 1, "×")
        lines.append(
            [
                f"ours, {scoring}, {compute}",
                number(ours),
                number(ratio(best, ours), 1, "×"),
                wanted,
                same(results, entry),
            ]
        )
    for entry in of_side(results, "screened"):
        ours, screened = entry["seconds_per_path"], entry["screened"]
        name = f"ours, likelihood, q8_0, screened ({screened['spent']:.2f} of the layer-tokens)"
        wanted = number(WANTED["screened"], 1, "×")
        lines.append([name, number(ours), number(ratio(best, ours), 1, "×"), wanted, ""])
    header = ["", "s per path", "ratio to his best", "wanted", "answers equal to his f32"]
    return rows(f"b. Against the author's worker, at {length_of(results):.1f} layers", header, lines)


def same(results, entry):
    """How many of the author's f32 answers our f32 scan gives, token for token."""
    if "f32 generation" not in entry["name"]:
        return ""
    ours = {tuple(result["block"]): result["given"] for result in entry["results"]}
    pairs = [
        (mine, theirs)
        for peer in of_side(results, "rys float32")
        if tuple(peer["block"]) in ours
        for mine, theirs in zip(ours[tuple(peer["block"])], peer["tokens"])
    ]
    return f"{sum(mine == theirs for mine, theirs in pairs)} of {len(pairs)}" if pairs else ""


def part_c(results):
    entries = of_side(results, "llama")
    if not entries:
        return []
    lines = []
    for entry in sorted(entries, key=lambda entry: entry["visits"]):
        parts = [entry["seconds"], entry["load_seconds"], entry["prefill_seconds"], entry["decode_seconds"]]
        lines.append([f"llama.cpp Q8_0, {entry['visits']} layers", *map(number, parts), ""])
    length = length_of(results)
    mean = at_length([(entry["visits"], entry["seconds"]) for entry in entries], length)
    ours = scans(results).get(("generation", "q8_0"), {}).get("seconds_per_path")
    verdict = f"{number(ratio(mean, ours), 1, '×')} (wanted {WANTED['c']:.1f}×)"
    lines.append([f"llama.cpp Q8_0, {length:.1f} layers", number(mean), "", "", "", ""])
    lines.append(["ours, generation, q8_0", number(ours), "", "", "", verdict])
    header = ["", "s per path", "of it load", "prefill", "decode", "ratio"]
    return rows("c. Against one process of llama.cpp per configuration", header, lines)


def part_d(results):
    lines = []
    for (scoring, compute), entry in scans(results).items():
        work, peak = entry["work"], entry["peaks"][0]
        necessary = work["layers"] + work["attention"] + work["head"]
        whole = entry["efficiency"] * (necessary + work["last_layers_whole"]) / necessary
        lines.append(
            [
                f"{scoring}, {compute}",
                number(necessary / entry["paths"] / 1e12, 3),
                number(entry["seconds_per_path"]),
                f"{peak['gflops']:.0f} at {peak['rows']} rows",
                number(entry["efficiency"]),
                number(whole),
                number(WANTED[compute]),
            ]
        )
    header = [
        "",
        "necessary TFLOP per path",
        "s per path",
        "peak GFLOP/s",
        "efficiency",
        "with whole last layers",
        "wanted",
    ]
    return rows("d. Efficiency: necessary operations ÷ (time × peak)", header, lines)


def part_e(results):
    entries = of_side(results, "growth")
    if not entries:
        return []
    cost = [entry["seconds"] / entry["work"]["layer_tokens"] * 1e6 for entry in entries]
    reference = sorted(cost)[len(cost) // 2]
    lines = [
        [
            entry["name"],
            f"{entry['work']['layer_tokens']:,}",
            number(entry["seconds"], 1),
            number(each),
            f"{each / reference - 1:+.0%}",
        ]
        for entry, each in zip(entries, cost)
    ]
    header = ["", "layer-tokens", "s", "µs per layer-token", "against the median"]
    title = f"e. Growth against the count of layer-tokens (wanted: within {WANTED['growth']:.0%})"
    return rows(title, header, lines) + [f"Dearest ÷ cheapest layer-token: {max(cost) / min(cost):.2f}.", ""]


def fastest(results, side, block, what):
    """The best of all rounds on a block."""
    found = [entry[what] for entry in of_side(results, side) if tuple(entry["block"]) == tuple(block)]
    return min(found, default=None)


def part_f(results):
    base = fastest(results, "decode", (0, 0), "best_ms")
    head = min((entry["head_ms"] for entry in of_side(results, "decode")), default=None)
    if base is None:
        return []
    # Embedding, norm and head in layers.
    c = head / ((base - head) / DEPTH)
    lines = []
    for block in DECODE_BLOCKS:
        visits = len(layers(block, DEPTH))
        ours, peer = (fastest(results, side, block, "best_ms") for side in ("decode", "decode llama"))
        wanted, found = (visits + c) / (DEPTH + c), None if ours is None else ours / base
        lines.append(
            [
                f"{visits} visits",
                number(ours),
                number(peer),
                number(ratio(ours, peer), 2, "×"),
                number(found, 3),
                number(wanted, 3),
                "–" if found is None else f"{found / wanted - 1:+.1%}",
            ]
        )
    header = ["", "ours, ms per token", "llama.cpp", "ours ÷ llama.cpp", "÷ baseline", "(N + k + c)/(N + c)", "apart"]
    title = (
        f"f. Decoding at batch 1, Q8_0, best token (wanted: at most {WANTED['decode']:.1f}× llama.cpp, "
        f"repeats within {WANTED['repeats']:.0%}; c = {c:.1f} layers)"
    )
    return rows(title, header, lines)


def part_g(results):
    lines = []
    for name in ("with", "without"):
        entries = [entry for entry in of_side(results, "phantom") if entry["name"].startswith(f"{name} ")]
        if entries:
            best = min(entries, key=lambda entry: entry["seconds"])
            ran = best["ran"]
            lines.append(
                [
                    f"{name} drafts",
                    number(ran["sweeps_per_answer"]),
                    f"{ran['accepted']:,} of {ran['drafted']:,}",
                    f"{ran['layer_tokens']:,}",
                    number(best["seconds"]),
                ]
            )
    header = ["", "sweeps per answer", "drafted tokens that were right", "layer-tokens run", "s"]
    return rows("g. Drafts on the shipped phantom, whole triangle", header, lines)


def table(results):
    parts = {"a": part_a, "b": part_b, "c": part_c, "d": part_d, "e": part_e, "f": part_f, "g": part_g}
    facts = [results["begun"], f"{results['threads']} threads", f"commit {results['commit'][:12]}"]
    if "minutes" in results:
        facts.append(f"{results['minutes']:.0f} minutes")
    lines = [", ".join(facts), ""]
    if results["quick"]:
        lines += ["A quick run on a few paths: it shows that everything works, its numbers mean nothing.", ""]
    elif results.get("paths"):
        lines += [f"Ours on {results['paths'] + 1} paths stratified by length; the whole triangle shares more.", ""]
    for name in results["parts"]:
        lines += parts[name](results)
    lines += [f"Skipped: {what}, for want of {why}" for what, why in results["skipped"].items()]
    lines += [f"Failed: {what}: {why}" for what, why in results.get("failed", {}).items()]
    return "\n".join(lines)


if __name__ == "__main__":
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else WORK / "results.json"
    print(table(json.loads(file.read_text())))
