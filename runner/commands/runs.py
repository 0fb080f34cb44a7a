"""`recipe runs`: what was run, how it ended, and its numbers."""

from pathlib import Path
from typing import Any

import click
import orjson

from ...schemas.errors import UserError
from ..progress import read_lines
from ..run_folder import RUNS, RunFolder, all_runs


@click.command("runs")
@click.argument("recipe", required=False)
@click.option("--out", "root", type=click.Path(path_type=Path), default=RUNS, help="Where runs are kept. Default: runs/")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(recipe: str | None, root: Path, as_json: bool) -> None:
    """List the runs, newest first; with RECIPE, only its own."""
    rows = [facts(run) for run in all_runs(root, recipe)]
    if as_json:
        click.echo(orjson.dumps({"runs": rows}, option=orjson.OPT_INDENT_2))
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("run", "state", "steps", "loss", "best eval loss", "minutes", "why")
    for row in rows:
        table.add_row(row["run"], row["state"], str(row["steps"]), _shown(row["loss"]), _shown(row["best_eval_loss"]),
                      f"{row['seconds'] / 60:.1f}", row["reason"].splitlines()[0][:60] if row["reason"] else "")  # fmt: skip
    Console(markup=False).print(table)


def facts(run: RunFolder) -> dict[str, Any]:
    """A run's state and numbers. A run that says it is running but whose process is gone was killed."""
    status: dict[str, Any]
    try:
        status = run.status
    except UserError as error:
        status = {"state": "damaged", "reason": str(error)}
    lines = read_lines(run / "metrics.jsonl")
    losses = [line["loss"] for line in lines if _is_number(line.get("loss"))]
    evaluated = [line["eval_loss"] for line in lines if _is_number(line.get("eval_loss"))]
    state = status.get("state", "damaged")
    state = "killed" if state == "running" and not run.is_locked() else state
    return {
        "run": str(run.path),
        "recipe": run.path.parent.name,
        "state": state,
        "stages": sorted(status.get("stages", {})),
        "steps": max((line["step"] for line in lines), default=0),
        "loss": losses[-1] if losses else None,
        "best_eval_loss": min(evaluated, default=None),
        "seconds": round(status.get("updated", 0) - status.get("started", status.get("updated", 0)), 1),
        "reason": status.get("reason", ""),
    }


def _is_number(value: Any) -> bool:
    """A loss that was not finite is written as text."""
    return isinstance(value, int | float)


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
