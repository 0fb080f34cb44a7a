"""The keys that a recipe may pass through to Axolotl: only those shown to change a training by recipekit.

axolotl_fields.json sorts every field of the installed Axolotl. `rendered`: a recipe key sets it. `refused`: it may not be passed through.
`effects`: the effect that benchmarks/axolotl_fields.py observed, with the keys that it needs, or that take it away. Any other field is
unknown.
"""

from collections.abc import Iterator
from typing import Any

from .base.errors import MAX_PROBLEMS, Problem
from .base.suggestion import did_you_mean
from .json_schema import axolotl_fields
from .sections import Training
from .yaml_source import Document


def axolotl_problems(document: Document) -> list[Problem]:
    """Return the problems of the keys under `axolotl:`, up to the number that is shown."""
    given: Any = document.data.get("axolotl") if isinstance(document.data, dict) else None
    if not isinstance(given, dict) or not given:
        return []
    known = axolotl_fields()
    problems: list[Problem] = []
    for key in given:
        location = document.location(("axolotl", key), key=True)
        for what, hint in _faults(str(key), document.data, known):
            problems.append(Problem(location, what, hint, "axolotl-key"))
        if len(problems) >= MAX_PROBLEMS:
            break
    return problems


def _faults(key: str, recipe: dict[str, Any], known: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield what is wrong with a key, and a hint."""
    if home := known["rendered"].get(key):
        yield f"axolotl.{key} is set by the recipe", f"use {home}"
    elif reason := known["refused"].get(key):
        yield f"axolotl.{key} is not allowed: {reason}", "remove it"
    elif key not in known["effects"]:
        hint = did_you_mean(key, dict.fromkeys([*known["fields"], *known["rendered"]]), f"Axolotl {known['version']} would ignore it")
        yield f"unknown key {key!r} in axolotl", hint
    else:
        yield from _without_effect(key, recipe, known["effects"][key], known["rendered"])


def _without_effect(key: str, recipe: dict[str, Any], effect: dict[str, Any], rendered: dict[str, str]) -> Iterator[tuple[str, str]]:
    if effect["effect"] == "none":
        yield f"axolotl.{key} has no effect on a training by recipekit", "remove it"
    elif effect["effect"] == "fails":
        yield f"axolotl.{key} cannot be used: {effect['why']}", "remove it"
    elif effect["effect"] == "tracker" and not _value(recipe, "training.trackers"):
        yield f"axolotl.{key} has no effect without a tracker", "add training.trackers"
    has_adapter = _value(recipe, "training.adapter") != "none"
    only_full = effect.get("in") == "full" and has_adapter
    if key.startswith(("lora", "peft")) and not has_adapter:
        yield f"axolotl.{key} has no effect without an adapter", "set training.adapter: lora, or remove it"
    elif only_full and "with_adapter" not in effect:
        yield f"axolotl.{key} has no effect with an adapter", "set training.adapter: none, or remove it"
    elif effect.get("in") == "packed" and not _value(recipe, "training.sample_packing"):
        yield f"axolotl.{key} has no effect without training.sample_packing", "set training.sample_packing: true, or remove it"
    yield from _beside_others(key, recipe, effect, effect.get("with_adapter" if only_full else "needs", {}), rendered)


def _beside_others(
    key: str, recipe: dict[str, Any], effect: dict[str, Any], needs: dict[str, Any], rendered: dict[str, str]
) -> Iterator[tuple[str, str]]:
    for other in set(effect.get("lost_with", ())).intersection(recipe["axolotl"]):
        yield f"axolotl.{key} has no effect with axolotl.{other}", "keep one of them"
    if effect.get("unless") in recipe["axolotl"]:
        return
    for other, value in needs.items():
        if other in rendered:
            given = _value(recipe, rendered[other])
            if given != value if isinstance(value, str | bool) or value == 0 else value and not given:
                yield f"axolotl.{key} has no effect without {rendered[other]}: {value}", f"set {rendered[other]}, or remove it"
        elif other not in recipe["axolotl"]:
            yield f"axolotl.{key} has no effect without axolotl.{other}", f"set axolotl.{other}, or remove it"


def _value(recipe: dict[str, Any], path: str) -> Any:
    """Return the recipe's value, or its default."""
    section, _, key = path.partition(".")
    values = recipe.get(section)
    default = Training._field_defaults.get(key) if section == "training" else None
    return values.get(key, default) if isinstance(values, dict) else default
