"""List runs on the terminal: as a table if it fits, else some lines per run. Paths are never shortened: other commands take them."""

from typing import Any

from ...schemas.base.screen import Screen
from .tables import table_width
from .verdicts import digits

_WHY = 30  # minimum width of the column of reasons, which wraps


def print_runs(rows: list[dict[str, Any]], console: Screen) -> None:
    """Print the state and numbers of each run."""
    columns = {
        "run": [row["run"] for row in rows],
        "state": [_state(row) for row in rows],
        "steps": [str(row["steps"]) for row in rows],
        "minutes": [minutes(row) for row in rows],
        "train loss": [short(row["train_loss"]) for row in rows],
        "validation loss": [short(row["validation_loss"]) for row in rows],
        "metrics": ["\n".join(_metrics(row)) for row in rows],
    }
    why = [_why(row) for row in rows]
    if table_width(columns | {"why": ["x" * min(_WHY, max(map(len, why)))]}) > console.width:
        for row in rows:
            _print_lines(row, console)
        return
    console.print_table(columns | ({"why": why} if any(why) else {}))


def minutes(row: dict[str, Any]) -> str:
    """Return how long the run took; empty if that is unknown."""
    return f"{row['seconds'] / 60:.1f}" if row.get("seconds") is not None else ""


def short(value: float | None) -> str:
    """Format a loss; empty if there is none."""
    return "" if value is None else f"{value:.4g}"


def _print_lines(row: dict[str, Any], console: Screen) -> None:
    """Print the path on a line of its own, then the numbers with their names, and why the run ended."""
    losses = [f"{key.replace('_', ' ')} {short(row[key])}" for key in ("train_loss", "validation_loss") if row[key] is not None]
    took = [f"{minutes(row)} minutes"] if minutes(row) else []
    lines = [", ".join([_state(row), f"{row['steps']} steps", *took, *losses])]
    lines += [", ".join(_metrics(row))] if row["metrics"] else []
    lines += [_why(row)] if row["reason"] else []
    console.print_words(row["run"])
    for line in lines:
        console.print_words(f"    {line}", 4)


def _metrics(row: dict[str, Any]) -> list[str]:
    return [f"{name.replace('_', ' ')} {digits(value)}" for name, value in row["metrics"].items()]


def _why(row: dict[str, Any]) -> str:
    return row["reason"].splitlines()[0] if row["reason"] else ""


def _state(row: dict[str, Any]) -> str:
    return row["state"] + (" (smoke)" if row.get("smoke") else "")
