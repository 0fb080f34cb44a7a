"""An evaluation on the terminal: baselines beside the tuned model with intervals, the gates, and the answer."""

from collections.abc import Mapping
from typing import Any

from ...schemas.base.screen import Screen
from .tables import print_columns
from .verdicts import LABELS, answer, change_title, gate_lines, metric_name, number, verdicts


def metrics_table(metrics: Mapping[str, Any], console: Screen) -> None:
    """Print a row for each metric: baselines, tuned, the data's own replies, and whether the change is significant."""
    measured = metrics["metrics"]
    names = {"metric": [metric_name(name, metric["unit"]) for name, metric in measured.items()]}
    models = {name: metrics["models"][name] for name in LABELS if metrics["models"].get(name)}
    columns = {LABELS[model]: [number(numbers.get(name)) for name in measured] for model, numbers in models.items()}
    columns[change_title(metrics)] = list(verdicts(metrics).values())
    print_columns(names, columns, console, f"{metrics['rows']} {metrics['split']} rows, {metrics['confidence']:.0%} intervals")
    for line in (*gate_lines(metrics), answer(metrics)):
        console.print(line)
