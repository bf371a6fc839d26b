"""Logits of a GGUF file in llama.cpp: python - FILE TOKENS_JSON OUT (raw f32, rows after rows)."""

import json
import sys

import llama_cpp
import numpy as np

file, tokens, out = sys.argv[1], json.loads(sys.argv[2]), sys.argv[3]
F32 = 0  # ggml_type of keys and values, so that nothing but the weights is rounded
model = llama_cpp.Llama(
    model_path=file, n_ctx=len(tokens) + 8, n_batch=max(32, len(tokens)), logits_all=True, verbose=False, type_k=F32,
    type_v=F32, flash_attn=False,
    # The file's own, which the defaults of llama-cpp-python replace.
    yarn_attn_factor=-1.0, yarn_beta_fast=-1.0, yarn_beta_slow=-1.0,
)
model.eval(tokens)
logits = np.asarray(model.scores[: len(tokens)], dtype=np.float32)
logits.tofile(out)
print(json.dumps({"version": f"llama-cpp-python {llama_cpp.__version__}", "columns": int(logits.shape[1])}))
