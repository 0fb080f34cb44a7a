"""Baselines beside the tuned model, with intervals, as a table on the terminal."""

from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

LABELS = {
    "base": "base", "majority": "commonest label", "mentioned": "label that the text names most",
    "tfidf": "TF-IDF + logistic regression", "tuned": "tuned", "reference": "the data's own replies",
}  # fmt: skip
_WIDE = 130  # characters: below, a number's interval stands under it


def metrics_table(metrics: dict[str, Any], console: Console) -> None:
    """Print a row for each metric: baselines, tuned, the data's own replies, and whether the change can be told from chance."""
    columns = [name for name in LABELS if metrics["models"].get(name)]
    title = f"{metrics['rows']} {metrics['split']} rows, {metrics['confidence']:.0%} intervals"
    table = Table("metric", title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for name in columns:
        table.add_column(LABELS[name])
    table.add_column(change_title(metrics), min_width=len("distinguishable"))  # a verdict wraps between words, never inside one
    for name, facts in metrics["metrics"].items():
        unit = f" ({facts['unit']})" if facts["unit"] else ""
        cells = [number(metrics["models"][column].get(name)) for column in columns]
        if console.width < _WIDE:
            cells = [cell.replace(" [", "\n[") for cell in cells]
        table.add_row(name.replace("_", " ") + unit, *cells, verdict(metrics["differences"][name], facts["higher_is_better"]))
    console.print(table)


def number(estimate: dict[str, Any] | None) -> str:
    """`12.3 [11.0, 13.9]`; empty where the metric does not apply."""
    if estimate is None:
        return ""
    if estimate["value"] is None:
        return "not measurable"
    low, high = (digits(estimate[key]) if estimate[key] is not None else "?" for key in ("low", "high"))
    return f"{digits(estimate['value'])} [{low}, {high}]"


def digits(value: float, sign: str = "") -> str:
    """Two decimals; three for what is at most 1, such as an F1."""
    return f"{value:{sign}.{2 if abs(value) > 1 else 3}f}"


def change_title(metrics: dict[str, Any]) -> str:
    """What the tuned model is compared with."""
    return "change" if metrics["against"] == "base" else f"against {LABELS[metrics['against']]}"


def verdict(change: dict[str, Any], higher_is_better: bool | None) -> str:
    """The change in words."""
    if change["value"] is None:
        return ""
    if not change["distinguishable"]:
        return f"{digits(change['value'], '+')}, not distinguishable"
    word = "" if higher_is_better is None else ", better" if (change["value"] > 0) == higher_is_better else ", worse"
    return f"{digits(change['value'], '+')}{word}"
