"""Chat templates times shapes of chats: what reaches the model, what is refused, and which key of a recipe accepts it.

python benchmarks/templates.py [--write docs/templates.md]

Each template that the installed Axolotl and TRL ship is put on the embedded model's tokenizer, with its markers as special tokens. Axolotl
tokenises the rows; recipekit's audit (runner/worker/word_audit.py) compares every character with the tokens and labels. A second
comparison, which shares nothing with the audit, looks for words that are missing and were not reported; there must be none.
"""

import argparse
import json
import re
from collections import Counter
from functools import cache
from itertools import groupby
from pathlib import Path
from typing import Any

from axolotl.prompt_strategies.chat_template import load as axolotl_strategy
from axolotl.utils.dict import DictDefault
from recipekit.runner.models.chat_templates import DROP_REASONING, FOLD_SYSTEM
from recipekit.runner.models.resolve import resolve_model
from recipekit.runner.worker import word_audit
from recipekit.runner.worker.label_audit import _spans_end_with
from recipekit.runner.worker.labels import IGNORED, end_ids
from recipekit.runner.worker.word_audit import WordAudit
from recipekit.schemas.model_rules import EMBEDDED
from recipekit.schemas.sections import Model
from transformers import AutoTokenizer

MARKER = re.compile(
    r"<\|[^|<>\s]+\|?>|<[a-z_]+\|>|\[\|[^|\]\s]+\|\]|\[/?[A-Z_]{3,}\]|</?s>|<\w+_of_turn>|<\w+_of_image>|<\uff5c[^<>\uff5c]+\uff5c>"
)
# What a refusal says -> how the table says it.
REASONS = {
    "the end of a trained turn": "no end",
    "refuses it": "raises",
    "Axolotl fails": "raises",
    "leaves out words": "words lost",
    "leaves out white space inside": "words lost",
    "writes other characters inside": "altered",
    "leaves out or masks reasoning": "words lost",
    "not trained": "partly masked",
    "although it is masked": "partly trained",
    "cannot be checked": "unclear",
}
KEYS = {"system_role": "fold", "reasoning": "drop"}
HEAD = """# Chat templates

The outcome for each chat template and shape of chat. `python benchmarks/templates.py --write docs/templates.md` writes
this page from the templates of Axolotl {axolotl} and TRL {trl}; transformers {transformers} ships none.

- **kept**: every character of every message is in the tokens; trained messages are trained completely, with their end, the rest is masked.
- **trim**: kept, except for white space at the ends of a message, which the template strips. It is counted in tokens.json and reported;
  with `data.whitespace: keep` the run stops.
- **fold**, **drop**: refused, unless the recipe has `data.system_role: fold` or `data.reasoning: drop`.
- The others are refused before the model is loaded, with rows, role and words: **no end** (nothing ends the last reply, so the model would
  not learn to stop), **raises** (the template rejects the chat), **words lost**, **altered** (the template writes into a message),
  **partly masked** (part of a trained reply is masked), **partly trained** (part of a masked message is trained), **unclear** (the text
  cannot be followed).

{counts}

"""


def user(text: str) -> dict[str, str]:
    return {"role": "user", "content": text}


def assistant(text: str, **more: Any) -> dict[str, Any]:
    return {"role": "assistant", "content": text, **more}


SYSTEM, ASK, ANSWER = {"role": "system", "content": "Be brief."}, user("Where is the owl?"), assistant("In the tall tree.")
MORE = [user("And the fox?"), assistant("Down in its den.")]
TOOL = {
    "type": "function",
    "function": {"name": "find_animal", "description": "Finds it.", "parameters": {"type": "object", "properties": {}}},
}
CALL = {"type": "function", "id": "abcdefghi", "function": {"name": "find_animal", "arguments": {"kind": "owl"}}}
SHAPES: dict[str, dict[str, Any]] = {
    "one turn": {"messages": [ASK, ANSWER]},
    "two turns": {"messages": [ASK, ANSWER, *MORE]},
    "system": {"messages": [SYSTEM, ASK, ANSWER]},
    "system, two turns": {"messages": [SYSTEM, ASK, ANSWER, *MORE]},
    "first reply masked": {"messages": [ASK, assistant("In the tall tree.", train=False), *MORE]},
    "only the first trained": {"messages": [ASK, ANSWER, MORE[0], assistant("Down in its den.", train=False)]},
    "reasoning, one turn": {"messages": [ASK, assistant("<think>\nOwls climb high.\n</think>\n\nIn the tall tree.")]},
    "reasoning, earlier turn": {"messages": [ASK, assistant("<think>\nOwls climb high.\n</think>\n\nIn the tall tree."), *MORE]},
    "tool message": {"messages": [ASK, ANSWER, {"role": "tool", "content": "owl: tree 7"}, assistant("It is tree seven.")]},
    "tools and a call": {
        "tools": [TOOL],
        "messages": [ASK, assistant("Looking.", tool_calls=[CALL]),
                     {"role": "tool", "content": "owl: tree 7", "name": "find_animal", "tool_call_id": "abcdefghi"},
                     assistant("It is tree seven.")],
    },
    "white space at the ends": {"messages": [user("\n  Where is the owl? \n"), assistant("  In the tall tree.\n")]},
    "one character": {"messages": [user("?"), assistant("7")]},
    "Unicode": {"messages": [user("夜のフクロウ は どこ? é e\u0301"), assistant("木の上 🌙👩‍🚀 — مرحبا")]},
    "words of the template": {"messages": [user("user assistant\nsystem"), assistant("assistant\nuser: content")]},
}  # fmt: skip


def templates() -> dict[str, str]:
    """Every template by name."""
    import axolotl
    import trl

    found = {}
    folders = (("axolotl", axolotl, "utils/chat_templates/templates"), ("trl", trl, "chat_templates"))
    for package, module, folder in folders:
        for path in sorted((Path(str(module.__file__)).parent / folder).glob("*.jinja")):
            found[f"{package}/{path.stem}"] = path.read_text(encoding="utf-8")
    return found


def tokenizer_for(template: str) -> Any:
    """The embedded model's tokenizer with this template and its markers."""
    tokenizer = _with_markers(tuple(sorted({*MARKER.findall(template)})))
    tokenizer.chat_template = template
    return tokenizer


@cache
def _with_markers(markers: tuple[str, ...]) -> Any:
    tokenizer: Any = AutoTokenizer.from_pretrained(resolve_model(Model(EMBEDDED), Path("runs")).path)
    tokenizer.add_special_tokens({"additional_special_tokens": list(markers)})
    return tokenizer


def end_of_turn(tokenizer: Any) -> str:
    """The token that the template puts after a reply; the end of sequence where that is none."""
    try:
        text = tokenizer.apply_chat_template([ASK, assistant("Xylophone"), *MORE], tokenize=False)
        after = tokenizer.tokenize(text.partition("Xylophone")[2].lstrip())
    except Exception:
        return tokenizer.eos_token
    return after[0] if after and after[0] in tokenizer.get_added_vocab() else tokenizer.eos_token


def outcome(template: str, name: str, row: dict[str, Any], *accepted: str) -> list[str]:
    """What the audit reports of the row; nothing where it is kept whole."""
    before = (FOLD_SYSTEM if "system_role" in accepted else "") + (DROP_REASONING if "reasoning" in accepted else "")
    tokenizer = tokenizer_for(before + template)
    ends = end_of_turn(tokenizer)
    dataset = {"type": "chat_template", "field_messages": "messages", "message_field_training": "train", "roles_to_train": ["assistant"],
               "train_on_eos": "turn", "message_property_mappings": {"role": "role", "content": "content"}}  # fmt: skip
    cfg = DictDefault({"datasets": [dataset], "chat_template": "tokenizer_default", "sequence_len": 4096, "eot_tokens": [ends],
                       "accepted_losses": [kind for kind in accepted if kind != "system_role"]})  # fmt: skip
    row = json.loads(json.dumps({"id": "row", **row}))
    words = WordAudit(cfg, tokenizer)
    if refused := words.refusals([row]):
        return [f"the template refuses it: {refused['row']}"]
    strategy = axolotl_strategy(tokenizer, cfg, ds_cfg=dataset)
    try:
        made = strategy.tokenize_prompt({key: value for key, value in row.items() if key in ("messages", "tools")})
    except Exception as error:  # the training stops there, too
        return [f"Axolotl fails on it: {type(error).__name__}: {error}"]
    losses = words.losses(row, made["input_ids"], made["labels"])
    unreported(row, made, tokenizer, losses, name)
    found = list(word_audit.problems("train", word_audit.summary(losses), word_audit.accepted(cfg), name))
    if not _spans_end_with(list(made["labels"]), end_ids(cfg, tokenizer)):
        found.append("the end of a trained turn is not trained")
    return found


def unreported(row: dict[str, Any], made: Any, tokenizer: Any, losses: list[Any], name: str) -> None:
    """Count words by another way: decoded tokens must hold each word as often as the messages do, trained ones in what is trained."""
    everything, trained = (decoded(tokenizer, ids) for ids in (made["input_ids"], [label for label in made["labels"] if label != IGNORED]))
    for message in row["messages"]:
        is_trained = message.get("train", message["role"] == "assistant")
        for word in message["content"].split():
            if word not in (trained if is_trained else everything) and not any(loss.role in (message["role"], "") for loss in losses):
                raise AssertionError(f"{name}: {word!r} of the {message['role']} message is missing, and nothing says so")


def decoded(tokenizer: Any, ids: list[int]) -> str:
    """The text of the tokens. Runs without added tokens apart: a byte-level decoder fails on markers outside its alphabet."""
    added = set(tokenizer.added_tokens_decoder)
    return "".join(tokenizer.decode(list(run)) for _, run in groupby(ids, key=added.__contains__))


def cell(template: str, name: str, row: dict[str, Any]) -> str:
    """One cell of the table."""
    if not outcome(template, name, row):
        return "kept"
    found = outcome(template, name, row, "whitespace")  # accepted by default
    if not found:
        return "trim"
    for key, word in KEYS.items():
        may_help = f"data.{key}:" in found[0] or key == "system_role" and row["messages"][0]["role"] == "system"
        if may_help and not outcome(template, name, row, "whitespace", key):
            return word
    return next(why for sentence, why in REASONS.items() if sentence in found[0])


def main() -> None:
    """Print the table as JSON, or write the document."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--write", type=Path)
    parser.add_argument("--only", help="a part of a template's name")
    options = parser.parse_args()
    table = {
        name: {shape: cell(text, name, row) for shape, row in SHAPES.items()}
        for name, text in templates().items()
        if (options.only or "") in name
    }
    counts = Counter(value for row in table.values() for value in row.values())
    if options.write:
        options.write.write_text(document(table, counts), encoding="utf-8")
    print(json.dumps({"templates": len(table), "shapes": len(SHAPES), "outcomes": counts, "unreported": 0}))
    if options.only:
        print(json.dumps(table, indent=1))


def document(table: dict[str, dict[str, str]], counts: Counter[str]) -> str:
    """docs/templates.md."""
    from importlib.metadata import version

    summed = ", ".join(f"{count} {value}" for value, count in counts.most_common())
    sentence = f"{len(table)} templates x {len(SHAPES)} shapes = {len(table) * len(SHAPES)} cases: {summed}; 0 losses unreported."
    head = HEAD.format(counts=sentence, **{name: version(name) for name in ("axolotl", "trl", "transformers")})
    rows = [["template", *SHAPES], ["---"] * (len(SHAPES) + 1), *([f"`{name}`", *row.values()] for name, row in table.items())]
    return head + "".join(f"| {' | '.join(row)} |\n" for row in rows)


if __name__ == "__main__":
    main()
