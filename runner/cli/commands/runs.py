"""`recipe runs`: what was run, how it ended, and its numbers."""

from difflib import get_close_matches
from pathlib import Path
from typing import Any

import click
import orjson

from ....schemas.base.errors import Mark, Problem, UserError
from ...evaluation.training_losses import is_number, losses
from ...runtime.progress import read_lines
from ...runtime.run_folder import RUNS, RunFolder, all_runs


@click.command("runs")
@click.argument("recipe", required=False)
@click.option("--out", "root", type=click.Path(path_type=Path), default=RUNS, help="Where runs are kept. Default: runs/")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(recipe: str | None, root: Path, as_json: bool) -> None:
    """List the runs, newest first; with RECIPE, only its own."""
    rows = [facts(run) for run in all_runs(root, recipe)]
    if recipe and not rows:
        raise UserError(Problem(Mark(recipe), "no such run", _hint(recipe, root), "no-such-run"))
    if as_json:
        click.echo(orjson.dumps({"runs": rows}, option=orjson.OPT_INDENT_2))
        return
    if not rows:
        click.echo(f"no runs in {root}/", err=True)
        return
    from rich.console import Console

    from ...reporting.runs_table import print_runs

    print_runs(rows, Console(markup=False))


def _hint(recipe: str, root: Path) -> str:
    """The recipe with runs that may have been meant."""
    near = get_close_matches(recipe, {run.path.parent.name for run in all_runs(root)}, n=1)
    return f"did you mean {near[0]!r}?" if near else "give a recipe's name; recipe runs lists the runs of all"


def facts(run: RunFolder) -> dict[str, Any]:
    """A run's state and numbers. A run that says it is running but whose process is gone was killed."""
    status: dict[str, Any]
    try:
        status = run.status
    except UserError as error:
        status = {"state": "damaged", "reason": str(error)}
    lines = read_lines(run / "metrics.jsonl")
    trained = [line["loss"] for line in lines if is_number(line.get("loss"))]
    state = status.get("state", "damaged")
    state = "killed" if state == "running" and not run.is_locked() else state
    return {
        "run": str(run.path),
        "recipe": run.path.parent.name,
        "state": state,
        "rehearsal": bool(run.read("rehearsal.json")),
        "stages": sorted(status.get("stages", {})),
        "steps": max((line["step"] for line in lines), default=0),
        "loss": trained[-1] if trained else None,
        "best_eval_loss": losses(lines)["best_validation_loss"],
        "seconds": round(status.get("updated", 0) - status.get("started", status.get("updated", 0)), 1),
        "reason": status.get("reason", ""),
    }
