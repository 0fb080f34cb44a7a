"""The runs of a sweep side by side, however many metrics they have and however narrow the terminal is."""

from typing import Any


def sweep_tables(rows: list[dict[str, Any]], width: int) -> list[Any]:
    """A line for each recipe of the sweep: its values, how it ended, its losses and the tuned model's metrics.

    More columns than `width` characters hold go on in a further table, which begins with the values again.
    """
    from rich.table import Column, Table

    from .fitting import fitting, table_width

    keys = list(rows[0]["values"])
    metrics = list(dict.fromkeys(name for row in rows for name in row.get("metrics", {})))
    heads = [key.rpartition(".")[2] if len({k.rpartition(".")[2] for k in keys}) == len(keys) else key for key in keys]
    values = {head: [str(row["values"][key]) for row in rows] for head, key in zip(heads, keys, strict=True)}
    facts = {
        "state": [row["state"] for row in rows],
        "steps": [str(row.get("steps", "")) for row in rows],
        "minutes": [f"{row['seconds'] / 60:.1f}" if "seconds" in row else "" for row in rows],
        "loss": [_shown(row.get("loss")) for row in rows],
        "best\neval\nloss": [_shown(row.get("best_eval_loss")) for row in rows],
    } | {name.replace("_", "\n"): [_shown(row.get("metrics", {}).get(name)) for row in rows] for name in metrics}
    tables = []
    for part in fitting(facts, width - table_width(values)):
        columns = values | {head: facts[head] for head in part}
        table = Table(*(Column(head, vertical="bottom") for head in columns))
        for line in zip(*columns.values(), strict=True):
            table.add_row(*line)
        tables.append(table)
    return tables


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
