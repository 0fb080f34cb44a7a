"""What is printed below a table of metrics: why a number has no interval, and what quantised training measured."""

from collections.abc import Iterator, Mapping
from typing import Any

from ..evaluation.intervals import LEAST_ROWS
from .verdicts import digits


def footnotes(scores: Mapping[str, Any]) -> list[str]:
    """Return a sentence each. For a metric of labels the rows of every label count."""
    return [*_without_interval(scores), *_as_trained(scores.get("as_trained"))]


def _without_interval(scores: Mapping[str, Any]) -> Iterator[str]:
    bare = [
        name
        for name, estimate in scores["models"]["tuned"].items()
        if estimate["value"] is not None and estimate["low"] is None and estimate["high"] is None
    ]
    if not bare:
        return
    names = ", ".join(name.replace("_", " ") for name in bare)
    if scores["rows"] < LEAST_ROWS:
        yield f"No interval for {names}: {LEAST_ROWS} rows are needed."
    else:
        yield f"No interval for {names}: the rows are too few, or too much alike."


def _as_trained(trained: Mapping[str, Any] | None) -> Iterator[str]:
    """Return what the trainer measured with quantised weights, beside what is served and merged."""
    if trained:
        numbers = " and ".join(f"{name} {digits(value)}" for name, value in trained["scores"].items())
        where = f"in {trained['bits']} bits, as trained, the tuned model has {numbers} on the validation rows"
        yield f"Measured with the base model in full precision, as it is merged and served; {where}."
