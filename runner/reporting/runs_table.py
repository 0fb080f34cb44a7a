"""List runs on the terminal, as a table or, where that does not fit, some lines per run; and the runs of a sweep side by side.

Paths are never shortened: other commands take them.
"""

from typing import Any

from ...schemas.base.counted import counted
from ...schemas.base.screen import Screen
from ..runtime.progress import loss_text
from .tables import print_columns, table_width
from .verdicts import digits, metric_name

_WHY = 30  # minimum width of the column of reasons, which wraps


def print_runs(rows: list[dict[str, Any]], console: Screen) -> None:
    """Print the state and numbers of each run."""
    columns = {
        "run": [row["run"] for row in rows],
        "state": [_state(row) for row in rows],
        "steps": [f"{row['steps']:,}" for row in rows],
        "minutes": [_minutes(row) for row in rows],
        "train loss": [_short(row["train_loss"]) for row in rows],
        "validation loss": [_short(row["validation_loss"]) for row in rows],
        "metrics": ["\n".join(_metrics(row)) for row in rows],
    }
    why = [_why(row) for row in rows]
    if table_width(columns | {"why": ["x" * min(_WHY, max(map(len, why)))]}) > console.width:
        for row in rows:
            _print_lines(row, console)
        return
    console.print_table(columns | ({"why": why} if any(why) else {}))


def print_sweep(rows: list[dict[str, Any]], console: Screen) -> None:
    """Print a line for each recipe of the sweep: its values, its state, its losses and the tuned model's metrics."""
    keys = list(dict.fromkeys(key for row in rows for key in row["values"]))
    last = [key.rpartition(".")[2] for key in keys]
    heads = last if len(set(last)) == len(keys) else keys
    values = {head: [str(row["values"].get(key, "")) for row in rows] for head, key in zip(heads, keys, strict=True)}
    metrics = {name: row["units"][name] for row in rows for name in row.get("metrics", {})}
    columns = {
        "state": [row["state"] for row in rows],
        "steps": [str(row.get("steps", "")) for row in rows],
        "minutes": [_minutes(row) for row in rows],
        "train loss": [_short(row.get("train_loss")) for row in rows],
        "validation loss": [_short(row.get("validation_loss")) for row in rows],
    } | {metric_name(name, unit): [_digits(row.get("metrics", {}).get(name)) for row in rows] for name, unit in metrics.items()}
    print_columns(values, columns, console)


def _minutes(row: dict[str, Any]) -> str:
    """Return how long the run took; empty if that is unknown."""
    return f"{row['seconds'] / 60:.1f}" if row.get("seconds") is not None else ""


def _short(value: float | None) -> str:
    """Format a loss; empty if there is none."""
    return "" if value is None else loss_text(value)


def _digits(value: float | None) -> str:
    """Format a metric as the tables of a run do; empty if there is none."""
    return "" if value is None else digits(value)


def _print_lines(row: dict[str, Any], console: Screen) -> None:
    """Print the path on a line of its own, then the numbers with their names, and why the run ended."""
    losses = [f"{key.replace('_', ' ')} {_short(row[key])}" for key in ("train_loss", "validation_loss") if row[key] is not None]
    took = [f"{_minutes(row)} minutes"] if _minutes(row) else []
    lines = [", ".join([_state(row), counted(row["steps"], "step"), *took, *losses])]
    lines += [", ".join(_metrics(row))] if row["metrics"] else []
    lines += [_why(row)] if row["reason"] else []
    console.print_words(row["run"])
    for line in lines:
        console.print_words(f"    {line}", 4)


def _metrics(row: dict[str, Any]) -> list[str]:
    return [f"{metric_name(name, row['units'][name])} {_digits(value) or 'not measurable'}" for name, value in row["metrics"].items()]


def _why(row: dict[str, Any]) -> str:
    return row["reason"].splitlines()[0] if row["reason"] else ""


def _state(row: dict[str, Any]) -> str:
    return row["state"] + (" (smoke)" if row.get("smoke") else "")
