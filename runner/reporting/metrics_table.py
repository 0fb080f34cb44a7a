"""An evaluation on the terminal: baselines and tuned model with intervals, the gates, and the answer."""

from collections.abc import Iterator, Mapping
from typing import Any

from rich.text import Text

from ...schemas.base.counted import counted
from ...schemas.base.screen import Screen
from ...schemas.metrics import OF_LABELS
from .tables import print_columns
from .verdicts import (
    LABELS,
    VERDICT_COLOURS,
    all_scores,
    answer,
    change_title,
    columns_of,
    digits,
    gate_lines,
    metric_name,
    number,
    pairs_line,
    rubric_lines,
    verdicts,
    without_interval,
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
    for passed, colour in ((True, "good"), (False, "bad")):
        for line in gate_lines(metrics, (passed,)):
            console.print(Text(line, colour))
    console.print(Text(answer(metrics, manifest), "bold"))


def print_scores(scores: Mapping[str, Any], title: str, console: Screen) -> None:
    """Print a row for each metric: baselines, tuned model, the data's own replies, and whether the change is significant."""
    measured = scores["metrics"]
    names = {"metric": [metric_name(name, metric["unit"]) for name, metric in measured.items()]}
    models = {name: scores["models"][name] for name in columns_of(scores)}
    columns = {LABELS[model]: [number(numbers.get(name)) for name in measured] for model, numbers in models.items()}
    columns[change_title(scores)] = list(verdicts(scores).values())
    heading = f"{title}, {scores['confidence']:.0%} intervals"
    print_columns(names, columns, console, heading, colours=VERDICT_COLOURS)
    for note in footnotes(scores):
        console.print(note)


def footnotes(scores: Mapping[str, Any]) -> list[str]:
    """Return what is printed below a table: rows that some numbers leave out, why a number has no interval, and what quantised training
    measured."""
    models = scores["models"]
    return [
        *_without_label(scores),
        *without_interval(scores["rows"], {name: [models[model].get(name) for model in columns_of(scores)] for name in scores["metrics"]}),
        *_as_trained(scores.get("as_trained")),
        *_quantised(scores.get("evaluated_with")),
    ]


def _without_label(scores: Mapping[str, Any]) -> Iterator[str]:
    """Yield how many rows the metrics of labels leave out, because their own reply is none of the labels."""
    if scores.get("confusion_has_invalid") and (left := scores["rows"] - sum(map(sum, scores["confusion"]))):
        names = ", ".join(metric_name(name) for name in scores["metrics"] if name in OF_LABELS)
        yield f"{left} of {counted(scores['rows'], 'row')} have a reply that is none of evaluation.labels, and are left out of {names}."


def _as_trained(trained: Mapping[str, Any] | None) -> Iterator[str]:
    """Return what the trainer measured with quantised weights, in addition to what is served and merged."""
    if trained:
        numbers = " and ".join(f"{name} {digits(value)}" for name, value in trained["scores"].items())
        where = f"in {trained['bits']} bits, as trained, the tuned model has {numbers} on all validation rows"
        yield f"Measured with the base model in full precision, as it is merged and served; {where}."


def _quantised(evaluated: Mapping[str, Any] | None) -> Iterator[str]:
    """Return that the numbers are those of quantised weights."""
    if evaluated and evaluated.get("bits"):
        yield f"Measured with the base model in {evaluated['bits']} bits, as trained: in 16 bits it did not fit on the GPU."
