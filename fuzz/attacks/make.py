"""Makes the attack files of this folder: each is a folder or a GGUF file that a stranger could have sent, and
`crates/text/tests/attacks.rs` keeps what each is told.

    python make.py
"""

import base64
import json
import shutil
import struct
from pathlib import Path

HERE = Path(__file__).resolve().parent
CORPUS = HERE.parent / "corpus"
HUGE = 1 << 63
CONFIG = (CORPUS / "config/valid-one-layer.json").read_bytes()
WEIGHTS = (CORPUS / "weights/valid-f32.safetensors").read_bytes()
TOKENIZER = json.loads((CORPUS / "tokenizer/valid-tiny.json").read_text())


def folder(name, **files):
    """A checkpoint that is valid but for the given files; `None` leaves one out."""
    place = HERE / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir()
    usual = {"config.json": CONFIG, "model.safetensors": WEIGHTS}
    for file, content in {**usual, **files}.items():
        if content is not None:
            (place / file).write_bytes(content if isinstance(content, bytes) else content.encode())


def safetensors(change):
    """The valid weight file with its head changed."""
    (length,) = struct.unpack("<Q", WEIGHTS[:8])
    head = json.loads(WEIGHTS[8 : 8 + length])
    change(head, [name for name in sorted(head) if name != "__metadata__"])
    text = json.dumps(head).encode()
    return struct.pack("<Q", len(text)) + text + WEIGHTS[8 + length :]


def with_template(name, template):
    folder(name, **{"tokenizer.json": json.dumps(TOKENIZER), "chat_template.jinja": template})


def with_tokenizer(name, **parts):
    folder(name, **{"tokenizer.json": json.dumps({**TOKENIZER, **parts})})


def charsmap(rules):
    return {"type": "Precompiled", "precompiled_charsmap": base64.b64encode(rules).decode()}


def gguf(name, *parts, tensors=0, keys=0):
    head = b"GGUF" + struct.pack("<IQQ", 3, tensors, keys)
    (HERE / f"{name}.gguf").write_bytes(head + b"".join(parts))


def text(value):
    return struct.pack("<Q", len(value)) + value.encode()


def set_shape(head, names):
    head[names[0]]["shape"] = [HUGE, 2]


def set_offsets(head, names):
    head[names[0]]["data_offsets"] = [HUGE, HUGE + 4]


def share_bytes(head, names):
    first, second = [name for name in names if "layernorm" in name][:2]
    head[second]["data_offsets"] = head[first]["data_offsets"]


def changed(**changes):
    return json.dumps({**json.loads(CONFIG), **changes})


def main():
    # Counts and sizes of 2⁶³.
    gguf("gguf-tensors-2-63", tensors=HUGE)
    gguf("gguf-keys-2-63", keys=HUGE)
    gguf("gguf-text-2-63", struct.pack("<Q", HUGE), b"general.architecture", keys=1)
    gguf("gguf-array-2-63", text("tokenizer.ggml.tokens"), struct.pack("<IIQ", 9, 8, HUGE), keys=1)
    arrays = struct.pack("<II", 9, 9) + struct.pack("<QI", 1, 9) * 64
    gguf("gguf-arrays-in-arrays", text("a"), arrays, keys=1)
    gguf("gguf-shape-2-63", text("token_embd.weight"), struct.pack("<IQQIQ", 2, HUGE, 2, 0, 0), tensors=1)
    folder("safetensors-head-2-63", **{"model.safetensors": struct.pack("<Q", HUGE) + b"{}"})
    folder("safetensors-shape-2-63", **{"model.safetensors": safetensors(set_shape)})
    folder("safetensors-offsets-2-63", **{"model.safetensors": safetensors(set_offsets)})
    folder("config-size-2-63", **{"config.json": changed(hidden_size=HUGE)})
    folder("config-layers-2-31", **{"config.json": changed(num_hidden_layers=1 << 31)})
    experts = {"model_type": "mixtral", "num_hidden_layers": 1 << 16, "num_local_experts": 1 << 12}
    folder("config-experts-2-28", **{"config.json": changed(**experts)})
    # Tensors over one another.
    (HERE / "gguf-overlap.gguf").write_bytes((CORPUS / "gguf/lie-overlap.gguf").read_bytes())
    folder("safetensors-overlap", **{"model.safetensors": safetensors(share_bytes)})
    # Templates that never end.
    with_template("template-calls-itself", "{% macro a() %}{{ a() }}{% endmacro %}{{ a() }}")
    with_template("template-includes-itself", "{% include 'chat_template.jinja' %}")
    with_template("template-counts", "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}")
    # Little that becomes much.
    doubled = "{% set ns = namespace(s='a') %}{% for i in range(60) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}{{ ns.s }}"
    with_template("template-doubles", doubled)
    with_template("template-repeats", "{{ 'a' * 9999999999 }}")
    twice = {"type": "Replace", "pattern": {"String": "a"}, "content": "aa"}
    with_tokenizer("tokenizer-doubles", normalizer={"type": "Sequence", "normalizers": [twice] * 60})
    with_tokenizer("tokenizer-decodes-to-much", decoder={"type": "Sequence", "decoders": [twice] * 60})
    folder("config-deep", **{"config.json": '{"a":' * 4000})
    nested = '{"normalizer":' + '{"type":"Sequence","normalizers":[' * 4000
    folder("tokenizer-deep", **{"tokenizer.json": nested})
    # Rules of normalisation whose trie claims more bytes than there are, and a rule that writes much.
    with_tokenizer("tokenizer-charsmap-2-32", normalizer=charsmap(b"\xff\xff\xff\xff\0"))
    with_tokenizer("tokenizer-charsmap-writes-much", normalizer=charsmap(struct.pack("<I", 0) + b"a" * 4096))
    # Files elsewhere, and files that run code.
    index = {"metadata": {}, "weight_map": {"model.norm.weight": "../../../etc/passwd.safetensors"}}
    folder("index-out-of-the-folder", **{"model.safetensors": None, "model.safetensors.index.json": json.dumps(index)})
    folder("pickle", **{"model.safetensors": None, "pytorch_model.bin": b"\x80\x04cos\nsystem\n(S'true'\ntR."})
    folder("git-lfs-pointer", **{"model.safetensors": "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n"})
    # What another program would ignore.
    folder("config-unknown-key", **{"config.json": changed(residual_rotation=0.3)})
    fp8 = {"quant_method": "fp8", "fmt": "e4m3", "weight_block_size": [0, HUGE]}
    folder("config-fp8-blocks-of-nothing", **{"config.json": changed(quantization_config=fp8)})


if __name__ == "__main__":
    main()
