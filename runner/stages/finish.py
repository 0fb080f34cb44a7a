"""The end of a run: its state, its model card, its report, and what its gates say."""

from typing import Any

from ...schemas.base.errors import GateError, Location, Problem
from ...schemas.sections import Recipe
from ..reporting.model_card import write_card
from ..reporting.report import write_report
from ..runtime.console import Display
from ..runtime.run_folder import RunFolder


def conclude(run: RunFolder, recipe: Recipe, metrics: dict[str, Any], display: Display) -> None:
    """Write the run's model card and its report, then name its state: one that is done has both, whatever happens in between."""
    failed = [name for name, gate in metrics["gates"].items() if not gate["passed"]]
    ending = {"state": "refused" if failed else "done", "reason": "gates: " + ", ".join(failed) if failed else ""}
    write_card(run, recipe)
    if (run / "merged").is_dir():  # it may have been merged before there were numbers
        write_card(run, recipe, merged=True)
    display.say("report", str(write_report(run, ending)))
    run.update(**ending)


def require_gates(metrics: dict[str, Any]) -> None:
    """Raise GateError where a gate says no, with every one that does."""
    failed = {name: gate for name, gate in metrics["gates"].items() if not gate["passed"]}
    if failed:
        raise GateError(*(
            Problem(Location(""), f"{name} is {gate['value']}, the gate wants {_range(gate)}", "see the report", "gate")
            for name, gate in failed.items()
        ))  # fmt: skip


def _range(gate: dict[str, Any]) -> str:
    parts = [f"{word} {gate[key]}" for key, word in (("min", "at least"), ("max", "at most")) if gate[key] is not None]
    return " and ".join(parts)
