"""An evaluation on the terminal: baselines and tuned model with intervals, the gates, and the answer."""

from collections.abc import Mapping
from typing import Any

from rich.text import Text

from ...schemas.base.counted import counted
from ...schemas.base.screen import Screen
from .footnotes import footnotes
from .tables import print_columns
from .verdicts import (
    LABELS,
    VERDICT_COLOURS,
    all_scores,
    answer,
    change_title,
    gate_lines,
    metric_name,
    number,
    pairs_line,
    rubric_lines,
    verdicts,
)


def metrics_table(metrics: Mapping[str, Any], console: Screen, manifest: Mapping[str, Any] | None = None) -> None:
    """Print the tables of the evaluated split, the rubric and each further set, then the minimal pairs, the gates and the answer."""
    for name, scores in all_scores(metrics):
        if name:
            console.print()
        rows = f"{name}: {counted(scores['rows'], 'row')}" if name else counted(scores["rows"], f"{metrics['split']} row")
        print_scores(scores, rows, console)
        if name == "rubric":
            for line in rubric_lines(scores):
                console.print(line)
    if "blimp" in metrics:
        console.print(pairs_line(metrics["blimp"]))
    for passed, colour in ((True, "green"), (False, "red")):
        for line in gate_lines(metrics, (passed,)):
            console.print(Text(line, colour))
    console.print(Text(answer(metrics, manifest), "bold"))


def print_scores(scores: Mapping[str, Any], title: str, console: Screen) -> None:
    """Print a row for each metric: baselines, tuned model, the data's own replies, and whether the change is significant."""
    measured = scores["metrics"]
    names = {"metric": [metric_name(name, metric["unit"]) for name, metric in measured.items()]}
    models = {name: scores["models"][name] for name in LABELS if scores["models"].get(name)}
    columns = {LABELS[model]: [number(numbers.get(name)) for name in measured] for model, numbers in models.items()}
    columns[change_title(scores)] = list(verdicts(scores).values())
    heading = f"{title}, {scores['confidence']:.0%} intervals"
    print_columns(names, columns, console, heading, colours=VERDICT_COLOURS)
    for note in footnotes(scores):
        console.print(note)
