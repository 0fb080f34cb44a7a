"""Binary models of the letters of a label as one model of whole labels: `recipe compare --join EI NS FT JP`, for MBTI types, compared with
a model of 16 labels if given.

A row's label consists of the letters that the models predict; it is correct if all are. The runs must be evaluated on the same rows: split
them by the whole label (`stratify_by: type`), not by the letter, which differs between them.
"""

from typing import Any

from ...schemas.base.errors import Problem, UserError
from ..evaluation.label_schemes import LabelScheme, pair_of, scheme_of
from ..evaluation.metrics import LabelPrediction, metric
from ..runtime.progress import read_lines
from ..runtime.run_files import EVALUATION, MANIFEST, METRICS, PREDICTIONS
from ..runtime.run_folder import RunFolder
from .comparison import short_names
from .comparison_numbers import numbers_of

MEASURES = ("accuracy", "macro_f1")
Lines = dict[str, dict[str, Any]]  # id -> the tuned model's line


def join_runs(runs: list[RunFolder]) -> dict[str, Any]:
    """Compare the joined model with every given run of whole labels, as `compare` does, with scores for each letter.

    Raises UserError if the runs lack a letter, or were evaluated on different rows.
    """
    scheme, of_letters, whole = _read_runs(runs)
    ids = _shared_ids([*of_letters.values(), *whole.values()])

    def joined(field: str) -> list[str]:
        return scheme.join({pair: [lines[i][field] for i in ids] for pair, lines in of_letters.items()})

    truth = joined("label")
    predicted = {"joined": joined("predicted")} | {name: [lines[i]["predicted"] for i in ids] for name, lines in whole.items()}
    scores = {name: scheme.scores(truth, column) for name, column in predicted.items()}
    confidence = runs[0].read(METRICS)["confidence"]
    numbers = numbers_of(dict.fromkeys(map(metric, MEASURES), _label_predictions(ids, truth, predicted)), confidence)
    return {
        "runs": list(predicted), "states": ["four binary models", *("16 labels" for _ in whole)], "differences": {}, "dimensions": scores,
        "rows": len(ids), "confidence": confidence, "metrics": numbers, "notes": notes(scores),
    }  # fmt: skip


def _read_runs(runs: list[RunFolder]) -> tuple[LabelScheme, dict[str, Lines], dict[str, Lines]]:
    """Return the scheme of the labels, the predictions by pair of letters, and those of whole labels by the run's name."""
    whole: dict[str, Lines] = {}
    of_letters: dict[str, Lines] = {}
    schemes: list[LabelScheme] = []
    for run, name in zip(runs, short_names([run.path for run in runs]), strict=True):
        labels, lines = run.read(MANIFEST).get("labels", []), predictions(run)
        if found := pair_of(labels):
            scheme, pair = found
            of_letters[pair] = lines
            schemes.append(scheme)
        elif scheme_of(labels):
            whole[name] = lines
        else:
            raise UserError(Problem(run.path, f"has labels that are neither types nor their letters: {', '.join(labels[:4])}"))
    return require_all_letters(schemes, of_letters), of_letters, whole


def _shared_ids(models: list[Lines]) -> list[str]:
    """Return the rows on which all models were evaluated. Raises UserError if they differ."""
    ids = sorted(models[0])
    for lines in models:
        if sorted(lines) != ids:
            hint = "split all of them with data.split.stratify_by: type, the same seed and the same shares"
            shared = len(set(lines) & set(ids))
            raise UserError(f"the runs were evaluated on different rows: {len(lines)} and {len(ids)} rows, {shared} in common", hint=hint)
    return ids


def _label_predictions(ids: list[str], truth: list[str], predicted: dict[str, list[str]]) -> list[list[LabelPrediction]]:
    """Return each model's predictions with labels as numbers."""
    labels = sorted({*truth, *(label for column in predicted.values() for label in column)})
    number = {label: index for index, label in enumerate(labels)}
    return [
        [LabelPrediction(i, number[t], number[p], len(labels)) for i, t, p in zip(ids, truth, column, strict=True)]
        for column in predicted.values()
    ]


def require_all_letters(schemes: list[LabelScheme], given: dict[str, Any]) -> LabelScheme:
    """Return the scheme for which every pair is given. Raises UserError if there is none."""
    scheme = schemes[0] if schemes else None
    absent = [pair for pair in scheme.pairs if pair not in given] if scheme else []
    if scheme is None or absent:
        what = f"no run predicts {' or '.join(absent)}" if absent else "no run predicts a letter of a type"
        raise UserError(what, hint="give the runs of all four letters")
    return scheme


def predictions(run: RunFolder) -> dict[str, dict[str, Any]]:
    """Return id -> the tuned model's line. Raises UserError if the run has not been evaluated."""
    found = {line["id"]: line for line in read_lines(run / EVALUATION / PREDICTIONS) if line["model"] == "tuned"}
    if not found:
        raise UserError(Problem(run.path, "has not been evaluated", f"recipe eval {run.path}"))
    return found


def notes(scores: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """Return the accuracy of each letter, one line per model."""
    return [
        f"{name}: " + ", ".join(f"{dimension} {found['accuracy']:.3f}" for dimension, found in letters.items())
        for name, letters in scores.items()
    ]
