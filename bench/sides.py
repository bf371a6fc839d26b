"""The sides of the comparison as run.py sees them: ours, the author's worker, llama.cpp."""

import filecmp
import json
import os
import subprocess
import sys
from pathlib import Path

from settings import CACHE, DECODE_TOKENS, DEPTH, REPOSITORY, SEED, SHAPE, TARGET, WORK, layers, write_json

BENCH = Path(__file__).resolve().parent
# Processors that this process may use: as many threads for every side.
THREADS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class Missing(Exception):
    """An input that is not there, or a peer that does not run; says which and how to get it."""


class Failed(Exception):
    """A measurement of ours that ended with an error."""


def talk(text):
    print(text, file=sys.stderr, flush=True)


def environment(name):
    """The Python of a peer's virtual environment."""
    venv = CACHE / f"bench-{name}"
    wanted, found = BENCH / f"requirements-{name}.txt", venv / "complete.txt"
    if not found.is_file() or not filecmp.cmp(wanted, found, shallow=False):
        raise Missing(f"the environment {name} (bench/setup.sh {name})")
    return venv / "bin" / "python"


def folder_of(variable, what, contains):
    """The folder that an environment variable names."""
    folder = Path(os.environ.get(variable, ""))
    if not os.environ.get(variable) or not (folder / contains).exists():
        raise Missing(f"{what}: {variable} must name a folder with {contains}")
    return folder.resolve()


def rys_checkout():
    return folder_of("RYS_REPO", "the author's checkout", "src/workers/math_worker.py")


def checkpoint():
    """The random checkpoint with the real tokenizer, made when it is not there."""
    tokenizer = folder_of("QWEN_TOKENIZER", "the tokenizer of Qwen2.5", "vocab.json")
    folder = WORK / f"checkpoint-{DEPTH}-{SEED}"
    python(environment("transformers"), "make_checkpoint.py", folder, "--tokenizer", tokenizer)
    return folder


def bare_checkpoint(depth):
    """A folder with a config alone, for our side with weights drawn from a seed."""
    folder = WORK / f"config-{depth}"
    folder.mkdir(parents=True, exist_ok=True)
    write_json(folder / "config.json", SHAPE | {"num_hidden_layers": depth})
    return folder


def prompts():
    """The file of prompts that every side reads, and what is missing for the author's questions, in whose place there are
    then random tokens of the same counts."""
    try:
        file = WORK / "prompts.json"
        python(environment("transformers"), "make_prompts.py", checkpoint(), file, "--rys", rys_checkout())
        return file, None
    except Missing as missing:
        talk(f"prompts are random tokens: without {missing}")
        file = WORK / "prompts-random.json"
        python(sys.executable, "make_prompts.py", WORK, file)
        return file, str(missing)


def python(interpreter, script, *arguments):
    """Runs a script of this folder to its end; its stdout is thrown away."""
    command = [str(part) for part in (interpreter, BENCH / script, *arguments)]
    done = subprocess.run(command, text=True, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, check=False)
    if done.returncode != 0:
        raise Missing(f"what {script} makes: {done.stderr.strip()[-500:]}")


class Ours:
    """The example `speed` of the scan room: one process per measurement."""

    def __init__(self, prompts_file):
        command = ["cargo", "build", "--release", "--quiet", "-p", "neuro-scan", "--example", "speed"]
        subprocess.run(command, cwd=REPOSITORY, check=True)
        self.program = TARGET / "release" / "examples" / "speed"
        shared = json.loads(prompts_file.read_text())
        pairs = zip(shared["prompts"], shared["continuations"])
        self.questions = [{"prompt": prompt, "continuation": continuation} for prompt, continuation in pairs]
        self.new_tokens = shared["new_tokens"]

    def measure(self, compute, scoring, *, depth=DEPTH, questions=None, blocks=None, way="engine", **more):
        try:
            folder, seed = (checkpoint(), None) if depth == DEPTH else (bare_checkpoint(depth), SEED)
        except Missing:
            folder, seed = bare_checkpoint(depth), SEED
        return self.ask(
            {
                "checkpoint": str(folder),
                "random_weights": seed,
                "compute": compute,
                "scoring": scoring,
                "way": way,
                "blocks": blocks,
                "questions": self.questions[:questions],
                "new_tokens": self.new_tokens,
                **more,
            }
        )

    def decode(self, block, file=None):
        """One token after the other behind the first question, on the weights of a GGUF file where there is one."""
        more = {"checkpoint": str(file), "random_weights": None} if file else {}
        found = self.measure(
            "q8_0", "generation", blocks=[block], way="decode", questions=1, new_tokens=DECODE_TOKENS, **more
        )
        return {"block": list(block), **found["decoding"][0]}

    def phantom(self, drafts):
        """Every eleventh question of the shipped phantom along its whole triangle, each answer to its end."""
        return self.ask(
            {
                "checkpoint": str(PHANTOM),
                "random_weights": None,
                "compute": "f32",
                "scoring": "generation",
                "way": "engine",
                "blocks": None,
                "questions": phantom_questions(),
                "new_tokens": PHANTOM_TOKENS,
                "eos": [PHANTOM_EOS],
                "drafts": drafts,
            }
        )

    def ask(self, request):
        """One measurement in a process of its own."""
        threads = {name: str(THREADS) for name in ("RAYON_NUM_THREADS", "CANDLE_NUM_THREADS")}
        done = subprocess.run(
            [self.program],
            input=json.dumps(request),
            env=os.environ | threads,
            text=True,
            capture_output=True,
            check=False,
        )
        if done.returncode != 0:
            raise Failed(done.stderr.strip()[-500:] or f"ended with {done.returncode}")
        return json.loads(done.stdout)


# The shipped phantom's vocabulary: 32 concepts in each of three scripts, hop counts, names of scripts.
PHANTOM = REPOSITORY / "phantoms" / "phantom"
PHANTOM_EOS, PHANTOM_EQUALS, PHANTOM_HOPS, PHANTOM_SCRIPTS, PHANTOM_WORDS = 1, 2, 3, 7, 10
PHANTOM_TOKENS = 4


def phantom_questions():
    """`sol 2 greek =` as tokens: every eleventh of concept × script × hop count × script to answer in."""
    every = [
        [PHANTOM_WORDS + word, PHANTOM_HOPS + hops, PHANTOM_SCRIPTS + script, PHANTOM_EQUALS]
        for word in range(3 * 32)
        for hops in range(4)
        for script in range(3)
    ]
    return [{"prompt": prompt, "continuation": []} for prompt in every[::11]]


class Rys:
    """The author's worker: a process that stays, so that its paths can be measured between ours."""

    def __init__(self, dtype, prompts_file):
        script = [environment("transformers"), BENCH / "peer_rys.py", rys_checkout(), checkpoint(), prompts_file]
        command = [str(part) for part in script] + ["--dtype", dtype, "--threads", str(THREADS)]
        log = (WORK / f"rys-{dtype}.log").open("w")
        self.process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=log, text=True, bufsize=1
        )
        self.log = log.name
        self.reply()
        # The first call compiles and allocates.
        self.measure((0, 0))

    def measure(self, block):
        try:
            self.process.stdin.write("{},{}\n".format(*block))
            self.process.stdin.flush()
        except OSError:
            raise self.ended() from None
        return self.reply()

    def reply(self):
        line = self.process.stdout.readline()
        if not line:
            raise self.ended()
        return json.loads(line)

    def ended(self):
        return Missing(f"the author's worker, which ended; see {self.log}")

    def close(self):
        self.process.communicate()


class Llama:
    """llama.cpp on a rewritten file, one process per configuration."""

    def __init__(self, prompts_file):
        self.interpreter, self.maker = environment("llama"), environment("transformers")
        self.prompts_file = prompts_file
        self.base = WORK / f"checkpoint-{DEPTH}-{SEED}.gguf"
        python(self.maker, "make_gguf.py", checkpoint(), self.base)

    def measure(self, block):
        """Answers all prompts on the file rewritten along the path; the rewriting is not timed."""
        return self.along(block)

    def decode(self, block):
        """Token after token behind the first prompt, on the file rewritten along the path."""
        return self.along(block, "--decode", DECODE_TOKENS)

    def along(self, block, *options):
        path, file = layers(block, DEPTH), self.base
        if block != (0, 0):
            file = WORK / f"path-{block[0]}-{block[1]}.gguf"
            if not file.exists() or file.stat().st_mtime < self.base.stat().st_mtime:
                order = ",".join(map(str, path))
                python(self.maker, "make_gguf.py", checkpoint(), file, "--base", self.base, "--layers", order)
        return {"block": list(block), "visits": len(path), **self.run(file, *options)}

    def run(self, file, *options):
        script = [self.interpreter, BENCH / "peer_llama.py", file, self.prompts_file, "--threads", THREADS, *options]
        done = subprocess.run([str(part) for part in script], text=True, capture_output=True, check=False)
        if done.returncode != 0:
            raise Missing(f"llama.cpp: {done.stderr.strip()[-500:]}")
        return json.loads(done.stdout)
