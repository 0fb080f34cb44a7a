"""Percentages of rows with some outcome, for base and tuned model on the same rows: exact intervals, and differences tested together."""

from collections.abc import Mapping, Sequence
from typing import Any

from .intervals import Difference, Estimate, bootstrap, differences, draw_resamples
from .metrics import Metric, percent
from .scoring import BASE, TUNED, as_json

Outcomes = Sequence[bool]
YES = Metric("yes", lambda is_yes: (is_yes, 1), percent, "%", None, ("chat", "text"), None, False, False)


def paired_percentages(
    outcomes: Mapping[str, tuple[Outcomes, Outcomes]], rows: int, confidence: float, seed: int = 0, *, higher_is_better: bool | None = None
) -> dict[str, Any]:
    """Return the table of each percentage from name -> (outcomes of the base model, outcomes of the tuned model)."""
    drawn = {count: draw_resamples(count, seed) for count in {len(base) for base, _ in outcomes.values()}}
    models = {
        model: {name: bootstrap(YES, pair[place], drawn[len(pair[place])], confidence) for name, pair in outcomes.items()}
        for place, model in enumerate((BASE, TUNED))
    }
    changes = differences({name: (YES, *pair) for name, pair in outcomes.items()}, drawn, confidence)
    return percentage_table(rows, confidence, models, changes, higher_is_better=higher_is_better)


def percentage_table(
    rows: int,
    confidence: float,
    models: Mapping[str, Mapping[str, Estimate]],
    changes: Mapping[str, Difference],
    *,
    higher_is_better: bool | None,
) -> dict[str, Any]:
    """Return the numbers as a table of metrics.json."""
    return {
        "rows": rows, "confidence": confidence, "baseline": BASE,
        "models": {model: {name: as_json(number) for name, number in found.items()} for model, found in models.items()},
        "differences": {name: as_json(change) for name, change in changes.items()},
        "metrics": {name: {"unit": "%", "higher_is_better": higher_is_better} for name in changes},
    }  # fmt: skip
