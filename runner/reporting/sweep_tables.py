"""The runs of a sweep side by side, however many metrics they have and however narrow the terminal is."""

from typing import Any


def sweep_tables(rows: list[dict[str, Any]], width: int) -> list[Any]:
    """A line for each recipe of the sweep: its values, how it ended, its losses and the tuned model's metrics.

    More columns than `width` characters hold go on in a further table, which begins with the values again.
    """
    from rich.table import Column, Table

    keys = list(rows[0]["values"])
    metrics = list(dict.fromkeys(name for row in rows for name in row.get("metrics", {})))
    heads = [key.rpartition(".")[2] if len({k.rpartition(".")[2] for k in keys}) == len(keys) else key for key in keys]
    values = {head: [str(row["values"][key]) for row in rows] for head, key in zip(heads, keys, strict=True)}
    facts = {
        "state": [row["state"] for row in rows],
        "steps": [str(row.get("steps", "")) for row in rows],
        "minutes": [f"{row['seconds'] / 60:.1f}" if "seconds" in row else "" for row in rows],
        "loss": [_shown(row.get("loss")) for row in rows],
        "best eval loss": [_shown(row.get("best_eval_loss")) for row in rows],
    } | {name.replace("_", " "): [_shown(row.get("metrics", {}).get(name)) for row in rows] for name in metrics}
    tables = []
    for part in _fitting(facts, width - sum(_width(head, cells) for head, cells in values.items()) - 1):
        columns = values | {head: facts[head] for head in part}
        table = Table(*(Column(head.replace(" ", "\n"), vertical="bottom") for head in columns))
        for line in zip(*columns.values(), strict=True):
            table.add_row(*line)
        tables.append(table)
    return tables


def _fitting(columns: dict[str, list[str]], width: int) -> list[list[str]]:
    """The columns' heads in groups that are at most `width` wide, or of one column."""
    groups: list[list[str]] = [[]]
    left = width
    for head, cells in columns.items():
        if groups[-1] and _width(head, cells) > left:
            groups.append([])
            left = width
        groups[-1].append(head)
        left -= _width(head, cells)
    return groups


def _width(head: str, cells: list[str]) -> int:
    """Characters of a column with its border: each word of a head has a line."""
    return 3 + max(map(len, [*head.split(), *cells]))


def _shown(value: float | None) -> str:
    return "" if value is None else f"{value:.4g}"
