"""Renders the one-line templates of dialect.txt through transformers 5.23.0 and writes dialect.json beside it."""

import json
from pathlib import Path

import transformers
from transformers.utils.chat_template_utils import render_jinja_template

assert transformers.__version__ == "5.23.0", transformers.__version__

MESSAGES = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello"}]
here = Path(__file__).parent
goldens = []
for template in (here / "dialect.txt").read_text(encoding="utf-8").splitlines():
    rendered, _ = render_jinja_template(conversations=[MESSAGES], chat_template=template, add_generation_prompt=True)
    goldens.append({"template": template, "text": rendered[0]})
(here / "dialect.json").write_text(json.dumps(goldens, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
