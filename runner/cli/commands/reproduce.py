"""`recipe reproduce`: compare a run's inputs, train it again, and report whether the result is bit-identical."""

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ....schemas.base.counted import counted
from ....schemas.base.errors import GateError, Problem
from ...runtime.find_run import find_run
from .. import completion
from ..options import json_option, print_json, runs_dir_option
from .run import require_train_extra

if TYPE_CHECKING:
    from ...workflows.reproduce import Reproduction

DIFFERENT = "different"


@click.command("reproduce")
@click.argument("run", shell_complete=completion.runs)
@click.option("--steps", type=click.IntRange(0), help="Train this many steps; 0 compares only the inputs. Default: all.")
@runs_dir_option
@json_option
def command(run: str, steps: int | None, root: Path, as_json: bool) -> None:
    """Reproduce RUN: hash its sources, convert and render again, compare model, packages and machine, then train in a new run under
    reproductions/ and compare every loss and, at the end, every weight. Exit code 3 when anything differs."""
    require_train_extra()
    from ...runtime.console import Display
    from ...workflows.reproduce import reproduce

    with Display() as display:
        display.say("reproduce", run)
        found = reproduce(find_run(run, root), root, steps, display)
    if as_json:
        print_json(_facts(found))
    else:
        _print(found)
    if found.differences:
        *others, last = (Problem("", f"{part}: {what}", rule="not-the-same") for part, what in found.differences)
        raise GateError(*others, last.replaced(hint=f"the new run is {found.again.path}" if found.again else ""))


def _facts(found: "Reproduction") -> dict[str, Any]:
    losses = found.losses and {"compared": found.losses.compared, "first": found.losses.first and found.losses.first._asdict(),
                               "largest": found.losses.largest and found.losses.largest._asdict()}  # fmt: skip
    first = next(({"part": part, "what": what} for part, what in found.differences), None)
    return {
        "run": str(found.run.path), "again": found.again and str(found.again.path), "identical": not found.differences,
        "first_difference": first, "inputs": found.inputs, "notes": found.notes, "trained": found.trained, "steps": found.steps,
        "losses": losses, "weights": found.weights,
    }  # fmt: skip


def _print(found: "Reproduction") -> None:
    """Print a table of what is the same; what differs is told by the error."""
    from ....schemas.base.screen import Screen

    rows = {
        part: DIFFERENT if differences else ", ".join(filter(None, ("identical", found.notes.get(part))))
        for part, differences in found.inputs.items()
    }
    rows["losses"] = (DIFFERENT if found.losses.first else found.losses.summary()) if found.losses else found.trained
    if found.losses:
        only = f"not compared: only {counted(found.steps, 'step')}"
        rows["weights"] = only if found.weights is None else DIFFERENT if found.weights else "bit-identical"
    Screen().print_table({"part": [*rows], f"{found.run.path} and now": [*rows.values()]})
