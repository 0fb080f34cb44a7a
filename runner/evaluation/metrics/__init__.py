"""The metrics. Each aggregates sums over rows (most are a ratio of two), so that one bootstrap gives every metric its interval.

    @register_metric("stop_rate", unit="%", higher_is_better=True, needs_reply=True, aggregate=percent)
    def stop_rate(row: Prediction) -> tuple[float, float]:
        return row.stopped, 1

The function returns a row's share of each sum, and `aggregate` computes the metric from the sums. If the shares are a bool and a 1, the
metric is a proportion with an exact interval. A module in this folder is a family of metrics; heavy packages are imported when a row is
measured. `UPDATE_GOLDEN=1 pytest tests/test_recipe_schema.py tests/test_keys_document.py` writes the metrics' names into the recipe schema
and its document.
"""

from collections.abc import Callable
from functools import cache
from importlib import import_module
from typing import Any, Literal, NamedTuple

from ....schemas.sections import RecordType

FAMILIES = ("likelihood", "replies", "emogpt", "overlap", "judged", "labels", "levels")

Needs = Literal["labels", "judge"]
RowStats = Callable[[Any], tuple[float, ...]]
_REGISTERED: dict[str, "Metric"] = {}


class Prediction(NamedTuple):
    """One evaluated row and a model's result. Token counts are the model's own, except `original_tokens` (cl100k_base)."""

    id: str
    reference: str
    reply: str
    stopped: bool
    reply_tokens: int
    nll: float
    target_tokens: int
    correct: int
    original_tokens: int | None = None
    meta: dict[str, Any] = {}  # the row's own
    judged: dict[str, float] = {}  # a judge's scores by scale


class LabelPrediction(NamedTuple):
    """One classified row: the indices of its true and its predicted label, among `labels` labels.

    `predicted` is -1 for a generated reply that is not a label; `fraction` is the number that the label was made from, if the row has it.
    """

    id: str
    truth: int
    predicted: int
    labels: int
    probabilities: tuple[float, ...] = ()
    fraction: float | None = None


class Metric(NamedTuple):
    """A registered metric.

    `row_stats` takes a LabelPrediction if `needs` is "labels", else a Prediction. `higher_is_better` is None if neither direction is.
    `needs_reply`: it measures generated text. `applies_to_reference`: it can be measured on the data's own replies.
    `rows_per_label`: how many rows per label a bootstrap interval needs.
    """

    name: str
    row_stats: RowStats
    aggregate: Callable[..., float]
    unit: str
    higher_is_better: bool | None
    record_types: tuple[RecordType, ...]
    needs: Needs | None
    needs_reply: bool
    applies_to_reference: bool
    rows_per_label: int = 0

    def of_row(self, row: Any) -> float:
        """Return the metric of a single row."""
        return self.aggregate(*self.row_stats(row))


def ratio(numerator: float, denominator: float) -> float:
    """Return a plain ratio; NaN if nothing was measured."""
    return numerator / denominator if denominator else float("nan")


def percent(numerator: float, denominator: float) -> float:
    """Return a ratio in percent."""
    return 100 * ratio(numerator, denominator)


def register_metric(
    name: str,
    *,
    higher_is_better: bool | None,
    unit: str = "",
    aggregate: Callable[..., float] = ratio,
    record_types: tuple[RecordType, ...] = ("chat",),
    needs: Needs | None = None,
    needs_reply: bool = False,
    applies_to_reference: bool = False,
    rows_per_label: int = 0,
) -> Callable[[RowStats], RowStats]:
    """Register the decorated function as the metric `name`."""

    def register(row_stats: RowStats) -> RowStats:
        if name in _REGISTERED:
            raise ValueError(f"two metrics are called {name}")
        _REGISTERED[name] = Metric(
            name, row_stats, aggregate, unit, higher_is_better, record_types, needs, needs_reply, applies_to_reference, rows_per_label
        )
        return row_stats

    return register


@cache
def metrics() -> dict[str, Metric]:
    """Return every metric by name."""
    for family in FAMILIES:
        import_module(f".{family}", __package__)
    return _REGISTERED


def metric(name: str) -> Metric:
    """Return the metric called `name`."""
    return metrics()[name]
