"""The training that a recipe stands for on its data, its model and this machine."""

from typing import Any, NamedTuple

from ...schemas.recipe import Loaded
from ..models.resolve import ResolvedModel
from ..runtime.machine import Machine
from .axolotl_config import RenderedData, substitutions
from .plan import Plan, plan
from .steps import repetitions


class Planned(NamedTuple):
    """The plan, the model that it starts from, and what is done otherwise on this machine, in words."""

    plan: Plan
    model: ResolvedModel
    notes: list[str]


def make_plan(loaded: Loaded, manifest: dict[str, Any], machine: Machine, model: ResolvedModel) -> Planned:
    """The training that the recipe stands for, on this data and machine."""
    splits = manifest["splits"]
    data = RenderedData(validation="data/validation.jsonl" if splits.get("validation") else None, labels=tuple(manifest.get("labels", ())))
    notes = substitutions(loaded.recipe, machine) + repetitions(loaded.recipe, splits.get("train", 0))
    return Planned(plan(loaded.recipe, data, machine, model.path), model, notes)
