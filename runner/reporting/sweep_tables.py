"""Print the runs of a sweep side by side, for any number of metrics and any terminal width."""

from typing import Any

from ...schemas.base.screen import Screen
from .runs_table import minutes, short
from .tables import print_columns


def print_sweep(rows: list[dict[str, Any]], console: Screen) -> None:
    """Print a line for each recipe of the sweep: its values, its state, its losses and the tuned model's metrics."""
    keys = list(dict.fromkeys(key for row in rows for key in row["values"]))
    last = [key.rpartition(".")[2] for key in keys]
    heads = last if len(set(last)) == len(keys) else keys
    values = {head: [str(row["values"].get(key, "")) for row in rows] for head, key in zip(heads, keys, strict=True)}
    metrics = dict.fromkeys(name for row in rows for name in row.get("metrics", {}))
    columns = {
        "state": [row["state"] for row in rows],
        "steps": [str(row.get("steps", "")) for row in rows],
        "minutes": [minutes(row) for row in rows],
        "train loss": [short(row.get("train_loss")) for row in rows],
        "validation loss": [short(row.get("validation_loss")) for row in rows],
    } | {name.replace("_", " "): [short(row.get("metrics", {}).get(name)) for row in rows] for name in metrics}
    print_columns(values, columns, console)
