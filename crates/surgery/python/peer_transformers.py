"""Logits of a checkpoint folder in transformers: python - FOLDER TOKENS_JSON OUT (raw f32, rows after rows)."""

import array
import json
import pathlib
import sys

import torch
import transformers

folder, tokens, out = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
transformers.logging.set_verbosity_error()
version = f"transformers {transformers.__version__}"
config = transformers.AutoConfig.from_pretrained(folder)


def text_model():
    """The text model of a larger one, whose other towers may be missing and are not asked."""
    from safetensors.torch import load_file

    weights = {}
    for file in pathlib.Path(folder).glob("*.safetensors"):
        for name, tensor in load_file(file).items():
            inner = name.removeprefix("model.").removeprefix("language_model.").removeprefix("model.")
            if "language_model." in name or inner.startswith("lm_head."):
                weights[inner if inner.startswith("lm_head.") else f"model.{inner}"] = tensor.float()
    model = transformers.AutoModelForCausalLM.from_config(config.text_config, dtype=torch.float32)
    unknown = model.load_state_dict(weights, strict=False)
    missing = [name for name in unknown.missing_keys if not (name == "lm_head.weight" and config.text_config.tie_word_embeddings)]
    assert not missing and not unknown.unexpected_keys, f"missing {missing}, unexpected {unknown.unexpected_keys}"
    model.tie_weights()
    return model


if getattr(config, "text_config", None) is None:
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
else:
    model, version = text_model(), f"{version}, text model alone"
with torch.no_grad():
    logits = model.eval()(input_ids=torch.tensor([tokens]), use_cache=False).logits[0].float()
with open(out, "wb") as file:
    array.array("f", logits.flatten().tolist()).tofile(file)
print(json.dumps({"version": version, "columns": logits.shape[-1]}))
