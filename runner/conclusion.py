"""The end of a run: its state, its model card, its report, and what its gates say."""

from typing import Any

from ..schemas.errors import GateError, Mark, Problem
from ..schemas.recipe import Loaded
from .display import Display
from .reporting.model_card import write_card
from .reporting.report import write_report
from .run_folder import RunFolder


def finish(run: RunFolder, loaded: Loaded, metrics: dict[str, Any], display: Display) -> None:
    """Name the run's state, write its model card and its report, and raise GateError where a gate says no."""
    failed = [name for name, gate in metrics["gates"].items() if not gate["passed"]]
    run.update(state="refused" if failed else "done", reason="gates: " + ", ".join(failed) if failed else "")
    write_card(run, loaded.recipe)
    if (run / "merged").is_dir():  # it may have been merged before there were numbers
        write_card(run, loaded.recipe, merged=True)
    display.say("report", str(write_report(run)))
    if failed:
        raise GateError(*(
            Problem(Mark(""), f"{name} is {gate['value']}, the gate wants {_range(gate)}", "see the report", "gate")
            for name, gate in metrics["gates"].items()
            if not gate["passed"]
        ))  # fmt: skip


def _range(gate: dict[str, Any]) -> str:
    parts = [f"{word} {gate[key]}" for key, word in (("min", "at least"), ("max", "at most")) if gate[key] is not None]
    return " and ".join(parts)
