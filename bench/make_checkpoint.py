"""Makes a random checkpoint in the shape of Qwen2.5-0.5B with the real tokenizer of Qwen2.5.

    python make_checkpoint.py FOLDER --tokenizer DIR [--layers 24] [--seed 0]

Weights are normal with standard deviation 0.02 and stored in bf16, so that every peer computes with the same values
whatever type it computes in; norms are one. A folder that exists is left alone.
"""

import argparse
import json
import shutil
import zlib
from pathlib import Path

import torch
from safetensors.torch import save_file
from transformers import AutoTokenizer

from settings import DEPTH, SEED, SHAPE


def tensors(config, seed):
    """Name, shape by name; every tensor has a seed of its own, so layers do not depend on how many there are."""
    hidden, mlp = config["hidden_size"], config["intermediate_size"]
    kv = hidden // config["num_attention_heads"] * config["num_key_value_heads"]
    shapes = {"model.embed_tokens.weight": (config["vocab_size"], hidden), "model.norm.weight": (hidden,)}
    for layer in range(config["num_hidden_layers"]):
        name = f"model.layers.{layer}"
        shapes |= {
            f"{name}.input_layernorm.weight": (hidden,),
            f"{name}.post_attention_layernorm.weight": (hidden,),
            f"{name}.self_attn.q_proj.weight": (hidden, hidden),
            f"{name}.self_attn.q_proj.bias": (hidden,),
            f"{name}.self_attn.k_proj.weight": (kv, hidden),
            f"{name}.self_attn.k_proj.bias": (kv,),
            f"{name}.self_attn.v_proj.weight": (kv, hidden),
            f"{name}.self_attn.v_proj.bias": (kv,),
            f"{name}.self_attn.o_proj.weight": (hidden, hidden),
            f"{name}.mlp.gate_proj.weight": (mlp, hidden),
            f"{name}.mlp.up_proj.weight": (mlp, hidden),
            f"{name}.mlp.down_proj.weight": (hidden, mlp),
        }
    for name, shape in shapes.items():
        if name.endswith("norm.weight"):
            yield name, torch.ones(shape, dtype=torch.bfloat16)
        else:
            generator = torch.Generator().manual_seed(seed + zlib.crc32(name.encode()))
            noise = torch.randn(shape, generator=generator) * config["initializer_range"]
            yield name, noise.to(torch.bfloat16)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--tokenizer", type=Path, required=True, help="folder with vocab.json, merges.txt and config")
    parser.add_argument("--layers", type=int, default=DEPTH)
    parser.add_argument("--seed", type=int, default=SEED)
    arguments = parser.parse_args()
    if arguments.folder.exists():
        return
    config = SHAPE | {"num_hidden_layers": arguments.layers}
    part = arguments.folder.with_name(arguments.folder.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    AutoTokenizer.from_pretrained(arguments.tokenizer, local_files_only=True).save_pretrained(part)
    (part / "config.json").write_text(json.dumps(config, indent=2) + "\n")
    (part / "generation_config.json").write_text(json.dumps({"do_sample": False}) + "\n")
    save_file(dict(tensors(config, arguments.seed)), part / "model.safetensors", metadata={"format": "pt"})
    part.rename(arguments.folder)


if __name__ == "__main__":
    main()
