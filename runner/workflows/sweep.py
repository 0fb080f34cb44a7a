"""Run the recipes of a `matrix` in order, for comparison in a table."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ...schemas.base.errors import GateError, Interrupted, UserError
from ...schemas.recipe import LoadedRecipe
from ..reporting.run_summary import run_summary
from ..runtime.console import Display
from ..runtime.find_run import all_runs
from ..runtime.run_folder import RunFolder
from .run import run_or_resume


class Swept(NamedTuple):
    """A recipe of the sweep, its values, its run, and the error that ended it, if any."""

    loaded: LoadedRecipe
    values: dict[str, Any]
    run: RunFolder | None
    error: UserError | None = None

    def row(self) -> dict[str, Any]:
        """Return plain values for the table and --json."""
        row: dict[str, Any] = {"recipe": self.loaded.recipe.name, "values": self.values, "state": "failed", "reason": str(self.error or "")}
        if self.run is None:
            return row
        found = run_summary(self.run)
        kept = ("run", "state", "steps", "train_loss", "validation_loss", "metrics", "units", "seconds", "reason")
        row |= {key: found[key] for key in kept}
        return row


def run_sweep(recipes: list[tuple[LoadedRecipe, dict[str, Any]]], root: Path, display: Display) -> list[Swept]:
    """Run each recipe: reuse a finished, unchanged run, and resume an unfinished one. A failure does not end the sweep."""
    swept = []
    for number, (loaded, values) in enumerate(recipes, 1):
        display.say("sweep", f"{number} of {len(recipes)}: {loaded.recipe.name}")
        swept.append(_tried(loaded, values, lambda one=loaded: run_or_resume(one, root, display).run, root))
        if error := swept[-1].error:
            display.say("", f"{loaded.recipe.name}: {error}", "bad")
    return swept


def _tried(loaded: LoadedRecipe, values: dict[str, Any], run: Callable[[], RunFolder], root: Path) -> Swept:
    try:
        return Swept(loaded, values, run())
    except Interrupted:
        raise
    except UserError as error:
        runs = all_runs(root, loaded.recipe.name)
        return Swept(loaded, values, runs[0] if runs else None, error)


def exit_code(swept: list[Swept]) -> int:
    """Return 0 if all are done, 1 if any failed, 3 if only gates failed."""
    errors = [one.error for one in swept if one.error]
    return 0 if not errors else 3 if all(isinstance(error, GateError) for error in errors) else 1
