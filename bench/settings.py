"""What every script of the benchmark shares: the model's shape, folders, the blocks on which peers are timed."""

import json
import os
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
TARGET = Path(os.environ.get("CARGO_TARGET_DIR", REPOSITORY / "target"))
# Checkpoints, prompts and raw numbers.
WORK = TARGET / "bench"
# The peers' virtual environments (setup.sh).
CACHE = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "neuroanatomy"

# Qwen2.5-0.5B. No end-of-text token: with random weights every answer would end at another length, and the length is
# fixed for all.
SHAPE = {
    "architectures": ["Qwen2ForCausalLM"],
    "model_type": "qwen2",
    "attention_dropout": 0.0,
    "hidden_act": "silu",
    "hidden_size": 896,
    "initializer_range": 0.02,
    "intermediate_size": 4864,
    "max_position_embeddings": 32768,
    "num_attention_heads": 14,
    "num_hidden_layers": 24,
    "num_key_value_heads": 2,
    "rms_norm_eps": 1e-06,
    "rope_theta": 1000000.0,
    "tie_word_embeddings": True,
    "torch_dtype": "bfloat16",
    "use_cache": True,
    "use_sliding_window": False,
    "vocab_size": 151936,
}
DEPTH = SHAPE["num_hidden_layers"]

QUESTIONS = 16
# Tokens of every answer, and of the continuation that is scored instead of an answer.
NEW_TOKENS = 16
SCORED_TOKENS = 3
SEED = 0

# Blocks of 0, 4, 8 and 16 layers on which decoding at batch 1 is timed, and tokens of each.
DECODE_BLOCKS = [(0, 0), (10, 14), (8, 16), (4, 20)]
DECODE_TOKENS = 48

# Blocks on which peers are timed, and the plain way, which takes 40 s for its one: the middle of all lengths.
PEER_BLOCKS = 12
PLAIN_BLOCKS = 1


def triangle(depth):
    """Every block (i, j) of the triangle without the baseline, shortest first."""
    return sorted(
        ((i, j) for j in range(1, depth + 1) for i in range(j)), key=lambda block: (block[1] - block[0], block)
    )


def mean_length(depth):
    """Mean number of visits of a path of the triangle, the baseline included."""
    blocks = triangle(depth)
    return depth + sum(j - i for i, j in blocks) / (len(blocks) + 1)


def stratified(depth, count):
    """The middle block of each of `count` equal strata of the triangle, ordered by length: same mean, same spread."""
    blocks = triangle(depth)
    return [blocks[int((stratum + 0.5) * len(blocks) / count)] for stratum in range(count)]


def layers(block, depth):
    """The layer list of a block's path."""
    i, j = block
    return [*range(j), *range(i, depth)]


def write_json(file, value):
    """Writes a file as a whole or not at all."""
    temporary = file.with_suffix(file.suffix + ".part")
    temporary.write_text(json.dumps(value) + "\n")
    temporary.replace(file)
