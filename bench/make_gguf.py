"""Writes a checkpoint of make_checkpoint.py as GGUF with Q8_0 weights, and rewrites such a file along a path.

    python make_gguf.py CHECKPOINT OUT.gguf
    python make_gguf.py CHECKPOINT OUT.gguf --base BASE.gguf --layers 0,1,2,1,2,3

The second form is what llm-circuit-finder does for every configuration: a whole new file in which the tensors of
repeated layers stand again under later layers' names. A file that exists is left alone.
"""

import argparse
import json
import re
from pathlib import Path

import gguf
from safetensors import safe_open

QUANTISED = gguf.GGMLQuantizationType.Q8_0
NAMES = {
    "model.embed_tokens": "token_embd",
    "model.norm": "output_norm",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}


def gguf_name(name):
    """`model.layers.3.mlp.up_proj.weight` → `blk.3.ffn_up.weight`."""
    module, kind = name.rsplit(".", 1)
    layer = re.fullmatch(r"model\.layers\.(\d+)\.(.+)", module)
    return f"blk.{layer[1]}.{NAMES[layer[2]]}.{kind}" if layer else f"{NAMES[module]}.{kind}"


def quantised(checkpoint):
    """Every tensor of the checkpoint with its type: matrices in Q8_0, the rest in f32, as llama.cpp's converter does."""
    with safe_open(checkpoint / "model.safetensors", "pt") as weights:
        for name in weights.keys():
            values = weights.get_tensor(name).float().numpy()
            kind = QUANTISED if values.ndim == 2 else gguf.GGMLQuantizationType.F32
            yield gguf_name(name), gguf.quants.quantize(values, kind), kind


def repeated(base, layers):
    """The tensors of a GGUF file with its layers in another order, byte for byte."""
    tensors = {tensor.name: tensor for tensor in gguf.GGUFReader(base).tensors}
    for name, tensor in tensors.items():
        if not name.startswith("blk."):
            yield name, tensor.data, tensor.tensor_type
    for position, layer in enumerate(layers):
        source = f"blk.{layer}."
        for name, tensor in tensors.items():
            if name.startswith(source):
                yield f"blk.{position}.{name.removeprefix(source)}", tensor.data, tensor.tensor_type


def describe(writer, checkpoint, depth):
    """Metadata of a qwen2 file, tokenizer included."""
    config = json.loads((checkpoint / "config.json").read_text())
    writer.add_name("random Qwen2.5-0.5B")
    writer.add_block_count(depth)
    writer.add_context_length(config["max_position_embeddings"])
    writer.add_embedding_length(config["hidden_size"])
    writer.add_feed_forward_length(config["intermediate_size"])
    writer.add_head_count(config["num_attention_heads"])
    writer.add_head_count_kv(config["num_key_value_heads"])
    writer.add_rope_freq_base(config["rope_theta"])
    writer.add_layer_norm_rms_eps(config["rms_norm_eps"])
    writer.add_file_type(gguf.LlamaFileType.MOSTLY_Q8_0)
    tokenizer = json.loads((checkpoint / "tokenizer.json").read_text())
    tokens = [f"[PAD{index}]" for index in range(config["vocab_size"])]
    types = [gguf.TokenType.UNUSED] * len(tokens)
    for token, index in tokenizer["model"]["vocab"].items():
        tokens[index], types[index] = token, gguf.TokenType.NORMAL
    for added in tokenizer["added_tokens"]:
        kind = gguf.TokenType.CONTROL if added["special"] else gguf.TokenType.USER_DEFINED
        tokens[added["id"]], types[added["id"]] = added["content"], kind
    merges = [merge if isinstance(merge, str) else " ".join(merge) for merge in tokenizer["model"]["merges"]]
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("qwen2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_eos_token_id(tokens.index("<|im_end|>"))
    writer.add_add_bos_token(False)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--base", type=Path, help="take the tensors from this GGUF file, in the order of --layers")
    parser.add_argument("--layers", type=lambda text: [int(layer) for layer in text.split(",")])
    arguments = parser.parse_args()
    if (arguments.base is None) != (arguments.layers is None):
        parser.error("--base and --layers belong together")
    if arguments.out.exists():
        return
    if arguments.base:
        depth, tensors = len(arguments.layers), repeated(arguments.base, arguments.layers)
    else:
        depth = json.loads((arguments.checkpoint / "config.json").read_text())["num_hidden_layers"]
        tensors = quantised(arguments.checkpoint)
    part = arguments.out.with_suffix(".part")
    writer = gguf.GGUFWriter(part, "qwen2")
    describe(writer, arguments.checkpoint, depth)
    for name, data, kind in tensors:
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    part.rename(arguments.out)


if __name__ == "__main__":
    main()
