"""Score predictions for eval/metrics.json: every metric for every model with intervals, differences and gates. Needs no model."""

import json
import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from ...schemas.base.errors import Problem, UserError
from ...schemas.evaluation_sections import answer_of, label_form
from ...schemas.sections import Evaluation
from ..runtime.progress import read_lines
from ..runtime.run_files import ROWS
from .intervals import Difference, Estimate, bootstrap, differences, draw_resamples
from .judge import read_judgements
from .metrics import LabelPrediction, Metric, Prediction, metric, percent

BASE, TUNED, REFERENCE = "base", "tuned", "reference"
Columns = dict[str, list[Any]]
# The percentage of rows with some outcome, with an exact interval.
YES = Metric("yes", lambda is_yes: (is_yes, 1), percent, "%", None, ("chat", "text"), None, False, False)


class Training(NamedTuple):
    """What the evaluation needs from the training: its rows, and the losses that gates may limit."""

    rows: Path
    losses: dict[str, float | None]


def read_predictions(predictions: Path) -> dict[str, list[Prediction]]:
    """Return the predictions of each model from predictions.jsonl, the same rows in the same order for all, with meta and judgements
    from the files beside it.

    Raises UserError if the file is damaged, or if the models have different rows.
    """
    scores = read_judgements(predictions.with_name("judgements.jsonl"))
    meta = {row["id"]: row.get("meta", {}) for row in read_lines(predictions.with_name(ROWS), "id")}
    by_model: dict[str, dict[str, Prediction]] = {}
    for line in read_lines(predictions, "model", *(name for name in Prediction._fields if name not in Prediction._field_defaults)):
        fields = {key: line[key] for key in Prediction._fields if key in line}
        by_model.setdefault(line["model"], {})[line["id"]] = Prediction(**fields)._replace(
            meta=meta.get(line["id"], {}), judged=scores.get((line["model"], line["id"]), {})
        )
    require_same_rows(predictions, by_model)
    return {model: [cases[i] for i in sorted(cases)] for model, cases in by_model.items()}


def require_same_rows(predictions: Path, by_model: Mapping[str, Mapping[str, Any]]) -> None:
    """Raise UserError if a model lacks a row that another one has: lines of the file are missing."""
    everything = {row_id for answered in by_model.values() for row_id in answered}
    for model, answered in by_model.items():
        if absent := sorted(everything - set(answered)):
            raise damaged(predictions, f"no line of the {model} model for the row {absent[0]!r}, which another model has answered")


def damaged(predictions: Path, what: str) -> UserError:
    """Return the error for a file of predictions that lacks or changed lines."""
    return UserError(Problem(predictions, f"is damaged: {what}", "restore the file, or evaluate again: recipe eval RUN", "damaged"))


def score(
    evaluation: Evaluation, cases: dict[str, list[Prediction]], facts: dict[str, Any], training: Training | None = None
) -> dict[str, Any]:
    """Return the content of metrics.json. A metric that cannot be measured on any row is null."""
    references = [case._replace(reply=case.reference, stopped=True) for case in cases[TUNED]]  # as if a model had generated them
    columns: Columns = {BASE: cases[BASE], TUNED: cases[TUNED], REFERENCE: references}
    of_labels: Columns = {}
    extra: dict[str, Any] = {}
    if evaluation.labels:
        train = training.rows if training else None
        of_labels = dict(label_columns({model: columns[model] for model in (BASE, TUNED)}, evaluation.labels, train))
        labels = list(evaluation.labels)
        extra = {"labels": labels, "confusion": label_table(of_labels, labels, TUNED), "confusion_has_invalid": True}
    found = score_models(evaluation, columns, BASE, of_labels)
    if evaluation.seen_by and training:
        extra["slices"] = slice_by_seen(evaluation, columns, of_labels, training.rows)
    gates = check_gates(evaluation, found, training.losses if training else {})
    return {**facts, **found, **extra, "gates": gates}


def score_models(evaluation: Evaluation, columns: Columns, baseline: str, of_labels: Columns | None = None) -> dict[str, Any]:
    """Return every metric for every column of predictions (the same rows in each), and how the tuned model differs from `baseline`.

    Metrics of labels are measured on `of_labels` if given.
    """
    measures = {name: metric(name) for name in evaluation.metrics}
    measured_on: dict[str, dict[str, list[Any]]] = {model: {} for model in {**columns, **(of_labels or {})}}
    for name, measure in measures.items():
        for model, cases in (of_labels if of_labels and measure.needs == "labels" else columns).items():
            if model != REFERENCE or measure.applies_to_reference:
                measured_on[model][name] = cases
    return measured(measures, measured_on, len(columns[TUNED]), evaluation.confidence, evaluation.generation.seed, baseline)


def measured(
    measures: Mapping[str, Metric], columns: Mapping[str, Mapping[str, Sequence[Any]]], rows: int, confidence: float, seed: int,
    baseline: str = BASE,
) -> dict[str, Any]:  # fmt: skip
    """Return every metric for every model, given as model -> metric -> rows, and how the tuned model differs from `baseline`."""
    drawn = {count: draw_resamples(count, seed) for count in {len(cases) for found in columns.values() for cases in found.values()}}
    models = {
        model: {name: bootstrap(measures[name], cases, drawn[len(cases)], confidence) for name, cases in found.items()}
        for model, found in columns.items()
    }
    compared = {name: (measure, columns[baseline][name], columns[TUNED][name]) for name, measure in measures.items()}
    return as_table(measures, rows, confidence, baseline, models, differences(compared, drawn, confidence))


def as_table(
    measures: Mapping[str, Metric], rows: int, confidence: float, baseline: str, models: Mapping[str, Mapping[str, Estimate]],
    changes: Mapping[str, Difference],
) -> dict[str, Any]:  # fmt: skip
    """Return the numbers as a table of metrics.json."""
    return {
        "rows": rows, "confidence": confidence, "baseline": baseline,
        "models": {model: {name: as_json(number) for name, number in found.items()} for model, found in models.items()},
        "differences": {name: as_json(change) for name, change in changes.items()},
        "metrics": {name: {"unit": measure.unit, "higher_is_better": measure.higher_is_better} for name, measure in measures.items()},
    }  # fmt: skip


def slice_by_seen(evaluation: Evaluation, columns: Columns, of_labels: Columns, train: Path) -> dict[str, Any]:
    """Score separately the rows whose value of `seen_by` is in a training row, and the others; an empty part is left out.

    Raises UserError if no row has the key.
    """
    key = str(evaluation.seen_by)
    known = {str(row["meta"][key]) for row in read_lines(train) if row.get("meta", {}).get(key) is not None}
    if not known or not any(case.meta.get(key) is not None for case in columns[TUNED]):
        where = "evaluated" if known else "training"
        raise UserError(f"evaluation.seen_by: no {where} row has {key!r} in its meta", hint="use a key that the converter keeps")
    seen = {case.id for case in columns[TUNED] if str(case.meta.get(key)) in known}
    found: dict[str, Any] = {}
    for name, wanted in ((f"{key} seen in training", True), (f"{key} not seen in training", False)):
        cut, cut_labels = _rows(columns, seen, wanted), _rows(of_labels, seen, wanted)
        if cut[TUNED] and all(cut_labels.values()):
            found[name] = score_models(evaluation, cut, BASE, cut_labels)
    return found


def _rows(columns: Columns, ids: set[str], inside: bool) -> Columns:
    return {model: [case for case in cases if (case.id in ids) == inside] for model, cases in columns.items()}


def check_gates(evaluation: Evaluation, found: dict[str, Any], losses: dict[str, float | None] | None = None) -> dict[str, Any]:
    """Return whether the tuned model's numbers are within the recipe's limits. A number that could not be measured does not pass.

    `found` is the result of score_models. `decided`: all intervals are inside, or one is outside; None for a loss, which has no interval. A
    regression is how much worse the tuned model is than the base model, with the interval of their paired difference.
    """
    results = {}
    for name, gate in evaluation.gates.items():
        estimate = found["models"][TUNED].get(name)
        value = estimate["value"] if estimate else (losses or {}).get(name)
        checks = [_Check.of(gate.min, gate.max, estimate or {"value": value, "low": None, "high": None})]
        regression = None
        if gate.max_regression is not None:
            regression = regression_of(found["differences"][name], found["metrics"][name]["higher_is_better"])
            checks.append(_Check.of(None, gate.max_regression, regression))
        decided = any(check.decided and not check.passed for check in checks) or all(check.decided for check in checks)
        results[name] = {
            "value": value, "min": gate.min, "max": gate.max, "max_regression": gate.max_regression, "regression": regression,
            "passed": all(check.passed for check in checks), "decided": decided if estimate else None,
        }  # fmt: skip
    return results


def regression_of(change: dict[str, Any], higher_is_better: bool | None) -> dict[str, Any]:
    """Return a difference from the base model as how much worse the tuned model is: negative if it is better."""
    if not higher_is_better:
        return {key: change[key] for key in ("value", "low", "high")}
    value, low, high = (None if change[key] is None else -change[key] for key in ("value", "high", "low"))
    return {"value": value, "low": low, "high": high}


class _Check(NamedTuple):
    """Whether a number is within two limits, and whether its whole interval is on one side of them."""

    passed: bool
    decided: bool

    @classmethod
    def of(cls, least: float | None, most: float | None, estimate: dict[str, Any]) -> "_Check":
        def is_inside(value: float) -> bool:
            return (least is None or value >= least) and (most is None or value <= most)

        value, low, high = (estimate[key] for key in ("value", "low", "high"))
        passed = value is not None and is_inside(value)
        if low is None or high is None:
            return cls(passed, least is None and most is None and passed)
        outside = (least is not None and high < least) or (most is not None and low > most)
        return cls(passed, outside or (is_inside(low) and is_inside(high)))


def as_json(number: Estimate | Difference) -> dict[str, Any]:
    """Return an estimate or a difference for JSON: six decimals, null if it is not a finite number."""
    return {
        key: value if isinstance(value, bool) else round(value, 6) if math.isfinite(value) else None
        for key, value in number._asdict().items()
    }


INVALID = -1


def label_index(reply: str, labels: Sequence[str]) -> int:
    """Return the index of the label that the reply is, or INVALID. Case, quotes, punctuation and reasoning before it are ignored; other
    words are not."""
    given = label_form(answer_of(reply))
    return next((index for index, label in enumerate(labels) if label_form(label) == given), INVALID)


def classified(case: Prediction, labels: Sequence[str]) -> LabelPrediction:
    """Return the prediction as a classified row; its true fraction is meta.fraction."""
    fraction = case.meta.get("fraction")
    truth = label_index(case.reference, labels)
    return LabelPrediction(case.id, truth, label_index(case.reply, labels), len(labels), fraction=fraction)


def majority_label(train: Iterable[dict[str, Any]], labels: Sequence[str]) -> int:
    """Return the index of the most frequent label among the training replies, the first if tied; INVALID if none is a label."""
    counts = Counter(label_index(last_reply(row["messages"]), labels) for row in train)
    return max(range(len(labels)), key=lambda index: counts[index]) if counts.keys() - {INVALID} else INVALID


def last_reply(messages: list[dict[str, Any]]) -> str:
    """Return the last trained message; "" if there is none."""
    trained = (message["content"] for message in reversed(messages) if message.get("train", message["role"] == "assistant"))
    return next(trained, "")


def label_columns(models: dict[str, list[Prediction]], labels: Sequence[str], train: Path | None) -> dict[str, list[LabelPrediction]]:
    """Return every model's replies as labels, with the majority baseline. Rows whose own reply is not a label are left out.

    Raises UserError if every row is.
    """
    columns = {model: [row for case in cases if (row := classified(case, labels)).truth >= 0] for model, cases in models.items()}
    if not all(columns.values()):
        raise UserError("evaluation.labels: no evaluated row has a reply that is one of them", hint="write the labels as the rows' replies")
    if train is None:
        return columns
    with train.open(encoding="utf-8") as stream:
        majority = majority_label(map(json.loads, stream), labels)
    first = next(iter(columns.values()))
    return {**columns, "majority": [row._replace(predicted=majority) for row in first]}


def label_table(columns: dict[str, list[LabelPrediction]], labels: Sequence[str], model: str) -> list[list[int]]:
    """Return the number of rows by true label (rows) and label of the reply (columns), with a last column for invalid replies."""
    counts = Counter((row.truth, row.predicted) for row in columns[model])
    return [[counts[truth, given] for given in (*range(len(labels)), INVALID)] for truth in range(len(labels))]
