"""The metrics. Each is a function of sums over rows (most are a ratio of two), so that one bootstrap gives every metric its interval.

    @register_metric("stop_rate", unit="%", higher_is_better=True, needs_reply=True, aggregate=percent)
    def stop_rate(row: Prediction) -> tuple[float, float]:
        return row.stopped, 1

The function gives a row's share of each sum, and `aggregate` makes the metric of the sums. A share that is True or False, and a 1, make a
proportion, whose interval is exact. A module of this folder is a family of metrics; heavy packages are imported when a row is measured.
`UPDATE_GOLDEN=1 pytest tests/test_recipe_schema.py tests/test_keys_document.py` writes the metrics' names into the schema of recipes and
its document.
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
    """One evaluated row and what a model made of it. Token counts are the model's own, but for `original_tokens` (cl100k_base)."""

    id: str
    reference: str
    reply: str
    stopped: bool
    reply_tokens: int
    nll: float
    target_tokens: int
    correct: int
    original_tokens: int | None = None
    meta: dict[str, Any] = {}  # noqa: RUF012 - never changed; the row's own
    judged: dict[str, float] = {}  # noqa: RUF012 - never changed; a judge's scores by scale


class LabelPrediction(NamedTuple):
    """One classified row: the indices of its label and of the label that a model gave it, among `labels` of them.

    `predicted` is -1 for a generated reply that is no label; `fraction` is what the label was made from, where the row has it.
    """

    id: str
    truth: int
    predicted: int
    labels: int
    probabilities: tuple[float, ...] = ()
    fraction: float | None = None


class Metric(NamedTuple):
    """A registered metric.

    `row_stats` takes a LabelPrediction where `needs` is "labels", else a Prediction. `higher_is_better` is None where neither is better.
    `needs_reply`: it measures generated text. `applies_to_reference`: the data's own replies can be measured in the same way.
    `rows_per_label`: how many rows for each label a bootstrap interval needs.
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
        """The metric of one row alone."""
        return self.aggregate(*self.row_stats(row))


def ratio(numerator: float, denominator: float) -> float:
    """A plain ratio; NaN where nothing was measured."""
    return numerator / denominator if denominator else float("nan")


def percent(numerator: float, denominator: float) -> float:
    """A ratio in percent."""
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
    """Every metric by its name."""
    for family in FAMILIES:
        import_module(f".{family}", __package__)
    return _REGISTERED


def metric(name: str) -> Metric:
    """The metric called `name`."""
    return metrics()[name]
