"""Predictions -> eval/metrics.json: every metric for every model with intervals, differences, gates. Needs no model."""

import math
from pathlib import Path
from typing import Any

from ..schemas.sections import Evaluation
from .intervals import Estimate, difference, estimate, resamples
from .metrics import Case, metric
from .progress import read_lines

BASE, TUNED, REFERENCE = "base", "tuned", "reference"


def read_cases(predictions: Path) -> dict[str, list[Case]]:
    """The cases of each model, the same rows in the same order for all, from predictions.jsonl."""
    by_model: dict[str, dict[str, Case]] = {}
    for line in read_lines(predictions):
        fields = {key: line[key] for key in Case._fields if key in line}
        by_model.setdefault(line["model"], {})[line["id"]] = Case(**fields)
    shared = set.intersection(*(set(cases) for cases in by_model.values())) if by_model else set()
    return {model: [cases[i] for i in sorted(shared)] for model, cases in by_model.items()}


def score(evaluation: Evaluation, cases: dict[str, list[Case]], facts: dict[str, Any]) -> dict[str, Any]:
    """The content of metrics.json. A metric that no row can be measured on is given as null, with the reason."""
    columns = {BASE: cases[BASE], TUNED: cases[TUNED], REFERENCE: _references(cases[TUNED])}
    return {**facts, **measured(evaluation, columns, BASE)}


def measured(evaluation: Evaluation, columns: dict[str, list[Any]], against: str) -> dict[str, Any]:
    """Every metric for every column of cases (the same rows in each), and how the tuned model differs from the one named `against`."""
    rows = len(columns[TUNED])
    draws = resamples(rows, evaluation.generation.seed)
    models: dict[str, dict[str, Any]] = {model: {} for model in columns}
    differences = {}
    for name in evaluation.metrics:
        measure = metric(name)
        for model, chosen in columns.items():
            if model == REFERENCE and not measure.ON_REFERENCE:
                continue
            models[model][name] = _as_json(estimate(measure, chosen, draws, evaluation.confidence))
        change = difference(measure, columns[against], columns[TUNED], draws, evaluation.confidence)
        differences[name] = _as_json(change) | {"distinguishable": bool(change.low > 0 or change.high < 0)}
    units = {name: {"unit": metric(name).UNIT, "better": metric(name).BETTER} for name in evaluation.metrics}
    return {"rows": rows, "confidence": evaluation.confidence, "against": against, "models": models, "differences": differences,
            "metrics": units, "gates": check_gates(evaluation, models[TUNED])}  # fmt: skip


def check_gates(evaluation: Evaluation, tuned: dict[str, Any]) -> dict[str, Any]:
    """Whether the tuned model's numbers are inside the recipe's limits. A number that could not be measured does not pass."""
    results = {}
    for name, gate in evaluation.gates.items():
        value = tuned[name]["value"]
        passed = value is not None and (gate.min is None or value >= gate.min) and (gate.max is None or value <= gate.max)
        results[name] = {"value": value, "min": gate.min, "max": gate.max, "passed": passed}
    return results


def _references(cases: list[Case]) -> list[Case]:
    """The data's own replies, measured as if a model had given them."""
    return [case._replace(reply=case.reference, stopped=True) for case in cases]


def _as_json(number: Estimate) -> dict[str, float | None]:
    return {key: round(value, 6) if math.isfinite(value) else None for key, value in number._asdict().items()}
