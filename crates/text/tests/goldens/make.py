"""Renders chat templates through transformers and writes what it gives, for the tests of this crate.

    pip install transformers==5.23.0 jinja2==3.1.6
    python make.py                              the committed goldens: templates/*.jinja -> goldens.json
    python make.py --all FOLDER OUT.json        the same conversations through every template of a folder

Every golden is a template, a conversation, options, and either the rendered text or the fact that transformers raised.
"""

import json
import sys
from datetime import datetime
from pathlib import Path

import jinja2
import transformers
from transformers.utils import chat_template_utils

assert transformers.__version__ == "5.23.0", transformers.__version__
assert jinja2.__version__ == "3.1.6", jinja2.__version__

NOW = datetime(2025, 3, 7, 9, 5, 2)
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>", "pad_token": "<pad>"}
AWKWARD = "a < b && \"c\" > 'd' \\ <|im_end|> naïve 你好 🦀\n\n  indented\ttab {{ not }} {% a %}\u00a0\u2028"

CONVERSATIONS = {
    "user": [("user", "What is 7 times 8?")],
    "system": [("system", "You are terse."), ("user", "What is 7 times 8?")],
    "turns": [
        ("system", "You are terse."),
        ("user", "Hello."),
        ("assistant", "Hi there."),
        ("user", "  And now?\n"),
        ("assistant", "Still here.\n"),
        ("user", "Good."),
    ],
    "answered": [("user", "Hello."), ("assistant", "Hi there.")],
    "thought": [
        ("user", "2 + 2?"),
        ("assistant", "<think>\nAdd them.\n</think>\n\nIt is 4."),
        ("user", "And 3 + 3?"),
    ],
    "awkward": [("system", AWKWARD), ("user", AWKWARD), ("assistant", AWKWARD), ("user", AWKWARD)],
    "blank": [("system", ""), ("user", " \n ")],
}
OPTIONS = [
    {"add_generation_prompt": True},
    {"add_generation_prompt": False},
    {"add_generation_prompt": True, "enable_thinking": True},
    {"add_generation_prompt": True, "enable_thinking": False},
]


class FixedClock(datetime):
    @classmethod
    def now(cls, tz=None):
        return NOW


def render(template, messages, options):
    try:
        rendered, _ = chat_template_utils.render_jinja_template(
            conversations=[[{"role": role, "content": content} for role, content in messages]],
            chat_template=template,
            **options,
            **SPECIAL,
        )
        return {"text": rendered[0]}
    except Exception as error:  # the template's own refusals come in many types
        return {"error": str(error)}


def main():
    chat_template_utils.datetime = FixedClock
    here = Path(__file__).parent
    folder, out = here / "templates", here / "goldens.json"
    if sys.argv[1:2] == ["--all"]:
        folder, out = Path(sys.argv[2]), Path(sys.argv[3])
    goldens = []
    for path in sorted(folder.glob("*.jinja")):
        template = path.read_text(encoding="utf-8")
        for name, messages in CONVERSATIONS.items():
            for options in OPTIONS:
                goldens.append({"template": path.name, "conversation": name, "options": options, **render(template, messages, options)})
    document = {
        "transformers": transformers.__version__,
        "jinja2": jinja2.__version__,
        "now": NOW.isoformat(),
        "special": SPECIAL,
        "conversations": {
            name: [{"role": role, "content": content} for role, content in messages] for name, messages in CONVERSATIONS.items()
        },
        "goldens": goldens,
    }
    out.write_text(json.dumps(document, ensure_ascii=False, indent=1) + "\n", encoding="utf-8")
    raised = sum("error" in golden for golden in goldens)
    print(f"{len(goldens)} goldens, {raised} of them raised, in {out}")


main()
