"""Runs on the terminal: a table where it fits, else some lines for each run. A run's path is whole in both: other verbs take it."""

from typing import Any

from rich.console import Console
from rich.table import Column, Table

from .fitting import table_width

_WHY = 30  # characters that the reasons need at least in a table; they wrap


def print_runs(rows: list[dict[str, Any]], console: Console) -> None:
    """What `recipe runs` knows of each run."""
    columns = {
        "run": [row["run"] for row in rows],
        "state": [_state(row) for row in rows],
        "steps": [str(row["steps"]) for row in rows],
        "loss": [_shown(row["loss"]) for row in rows],
        "best\neval loss": [_shown(row["best_eval_loss"]) for row in rows],
        "minutes": [_minutes(row) for row in rows],
    }
    why = [_why(row) for row in rows]
    if table_width(columns | {"why": ["x" * min(_WHY, max(map(len, why)))]}) > console.width:
        for row in rows:
            _print_lines(row, console)
        return
    table = Table(*(Column(head, no_wrap=True) for head in columns), Column("why", overflow="fold"))
    for line in zip(*columns.values(), why, strict=True):
        table.add_row(*line)
    console.print(table)


def _print_lines(row: dict[str, Any], console: Console) -> None:
    """The path on a line of its own, the numbers with their names under it, and why the run ended as it did."""
    numbers = [
        f"{name} {_shown(row[key])}" for key, name in (("loss", "loss"), ("best_eval_loss", "best eval loss")) if row[key] is not None
    ]
    facts = ", ".join([_state(row), f"{row['steps']} steps", *numbers, f"{_minutes(row)} minutes"])
    for line in (row["run"], f"    {facts}", *([f"    {_why(row)}"] if row["reason"] else [])):
        console.print(line, soft_wrap=True, highlight=False)


def _why(row: dict[str, Any]) -> str:
    return row["reason"].splitlines()[0] if row["reason"] else ""


def _state(row: dict[str, Any]) -> str:
    return row["state"] + (" (smoke)" if row.get("smoke") else "")


def _minutes(row: dict[str, Any]) -> str:
    return f"{row['seconds'] / 60:.1f}"


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
