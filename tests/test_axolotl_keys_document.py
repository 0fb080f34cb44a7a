"""docs/axolotl-keys.md is generated from schemas/axolotl_fields.json, with UPDATE_GOLDEN=1."""

import json

from recipekit.schemas.json_schema import SCHEMA_DIR

from .support.golden import golden
from .support.paths import ROOT

DOCUMENT = ROOT / "docs" / "axolotl-keys.md"
HEAD = """# Keys of `axolotl:`

Generated from `schemas/axolotl_fields.json` (`UPDATE_GOLDEN=1 pytest tests/test_axolotl_keys_document.py`), which sorts each of the {fields} fields
of Axolotl {version}: {rendered} are set by keys of the recipe, {refused} are not allowed, and the others are set one by one on a tiny model by
`benchmarks/axolotl_fields.py`, which compares weights, losses, learning rates, optimizer, batches, configuration, tokenizer and files with
those of the same training without it. `recipe check` refuses every field that changed nothing.
"""
EFFECTS = {
    "gpu": "accepted; its effect needs a GPU and was not seen",
    "speed": "accepted; changes how fast rows are read",
    "tracker": "accepted with `training.trackers`",
    "none": "refused: no effect",
}


def outcome(effect):
    if effect["effect"] == "fails":
        return f"refused: {effect['why']}"
    if effect["effect"] != "trains":
        return EFFECTS[effect["effect"]]
    needs = "".join(f", with `{key}`" for key in effect.get("needs", {}))
    if effect["in"] == "full":
        beside = " and ".join(f"`{key}`" for key in effect.get("with_adapter", {}))
        needs += f", and with an adapter if {beside} is set" if beside else ", without an adapter"
    return f"accepted{needs}; changes {', '.join(effect['seen'])}"


def document():
    known = json.loads((SCHEMA_DIR / "axolotl_fields.json").read_text(encoding="utf-8"))
    counts = {name: len(known[name]) for name in ("fields", "rendered", "refused")}
    tried = [f"| `{name}` | {outcome(effect)} |".replace("\n", " ") for name, effect in sorted(known["effects"].items())]
    refused = [f"| `{name}` | {reason} |" for name, reason in sorted(known["refused"].items())]
    rendered = [f"| `{name}` | `{home}` |" for name, home in sorted(known["rendered"].items())]
    return "\n".join([
        HEAD.format(version=known["version"], **counts),
        "## Tried\n", "| field | outcome |", "|---|---|", *tried, "",
        "## Not allowed\n", "| field | why |", "|---|---|", *refused, "",
        "## Set by the recipe\n", "| field | key of the recipe |", "|---|---|", *rendered, "",
    ])  # fmt: skip


def test_the_document_is_up_to_date():
    assert golden(DOCUMENT, document()) == document()


def test_every_field_was_tried_or_is_sorted_by_reason():
    known = json.loads((SCHEMA_DIR / "axolotl_fields.json").read_text(encoding="utf-8"))
    assert {effect["effect"] for effect in known["effects"].values()} <= {"trains", "fails", *EFFECTS}


def test_every_field_is_sorted_once():
    known = json.loads((SCHEMA_DIR / "axolotl_fields.json").read_text(encoding="utf-8"))
    fields = [*known["effects"], *known["refused"], *(name for name in known["rendered"] if name in known["fields"])]
    assert sorted(fields) == sorted(known["fields"])
