"""Logits of a checkpoint folder in transformers: python - FOLDER TOKENS_JSON OUT (raw f32, rows after rows)."""

import array
import json
import sys

import torch
import transformers

folder, tokens, out = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
transformers.logging.set_verbosity_error()
model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
with torch.no_grad():
    logits = model(input_ids=torch.tensor([tokens]), use_cache=False).logits[0].float()
with open(out, "wb") as file:
    array.array("f", logits.flatten().tolist()).tofile(file)
print(json.dumps({"version": f"transformers {transformers.__version__}", "columns": logits.shape[-1]}))
