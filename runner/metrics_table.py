"""Base beside tuned, with intervals, as a table on the terminal."""

from typing import Any

from rich.console import Console
from rich.table import Table

LABELS = {"base": "base", "tuned": "tuned", "reference": "the data's own replies"}


def metrics_table(metrics: dict[str, Any], console: Console) -> None:
    """Print a row for each metric: base, tuned, the data's own replies, and whether the change can be told from chance."""
    columns = [name for name in LABELS if metrics["models"].get(name)]
    title = f"{metrics['rows']} {metrics['split']} rows, {metrics['confidence']:.0%} intervals"
    table = Table("metric", *(LABELS[name] for name in columns), "change", title=title, title_justify="left")
    for name, facts in metrics["metrics"].items():
        unit = f" ({facts['unit']})" if facts["unit"] else ""
        cells = [number(metrics["models"][column].get(name)) for column in columns]
        table.add_row(name.replace("_", " ") + unit, *cells, verdict(metrics["differences"][name], facts["better"]))
    console.print(table)


def number(estimate: dict[str, Any] | None) -> str:
    """`12.3 [11.0, 13.9]`; empty where the metric does not apply."""
    if estimate is None:
        return ""
    if estimate["value"] is None:
        return "not measurable"
    low, high = (f"{estimate[key]:.2f}" if estimate[key] is not None else "?" for key in ("low", "high"))
    return f"{estimate['value']:.2f} [{low}, {high}]"


def verdict(change: dict[str, Any], better: str) -> str:
    """The change in words."""
    if change["value"] is None:
        return ""
    if not change["distinguishable"]:
        return f"{change['value']:+.2f}, not distinguishable"
    word = "" if not better else ", better" if (change["value"] > 0) == (better == "higher") else ", worse"
    return f"{change['value']:+.2f}{word}"
