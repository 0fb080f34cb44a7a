"""Binary models of the letters of a label as one model of whole labels: `recipe compare --join EI NS FT JP`, for MBTI types, compared with
a model of 16 labels if given.

A row's label consists of the letters that the models predict; it is correct if all are. The runs must be evaluated on the same rows: split
them by the whole label (`stratify_by: type`), not by the letter, which differs between them.
"""

from typing import Any

from ...schemas.base.errors import Location, Problem, UserError
from ..evaluation.label_schemes import LabelScheme, pair_of, scheme_of
from ..evaluation.metrics import LabelPrediction, metric
from ..runtime.progress import read_lines
from ..runtime.run_files import MANIFEST
from ..runtime.run_folder import RunFolder
from .comparison import short_names
from .comparison_numbers import numbers_of

METRICS = ("accuracy", "macro_f1")
Lines = dict[str, dict[str, Any]]  # id -> the tuned model's line


def join_runs(runs: list[RunFolder], confidence: float = 0.95) -> dict[str, Any]:
    """Compare the joined model with every given run of whole labels, as `compare` does, with scores for each letter.

    Raises UserError if the runs lack a letter, or were evaluated on different rows.
    """
    whole: dict[str, Lines] = {}
    given: dict[str, Lines] = {}
    schemes: list[LabelScheme] = []
    for run, name in zip(runs, short_names([run.path for run in runs]), strict=True):
        labels, lines = run.read(MANIFEST).get("labels", []), predictions(run)
        if of_letters := pair_of(labels):
            given[of_letters[1]] = lines
            schemes.append(of_letters[0])
        elif scheme_of(labels):
            whole[name] = lines
        else:
            raise UserError(
                Problem(Location(str(run.path)), f"has labels that are neither types nor their letters: {', '.join(labels[:4])}")
            )
    scheme = require_all_letters(schemes, given)
    ids = sorted(next(iter(given.values())))
    for lines in (*given.values(), *whole.values()):
        if sorted(lines) != ids:
            hint = "split all of them with data.split.stratify_by: type, the same seed and the same shares"
            shared = len(set(lines) & set(ids))
            raise UserError(f"the runs were evaluated on different rows: {len(lines)} and {len(ids)} rows, {shared} in common", hint=hint)

    def letters(field: str) -> dict[str, list[str]]:
        return {pair: [lines[i][field] for i in ids] for pair, lines in given.items()}

    truth = scheme.join(letters("label"))
    named = {"joined": scheme.join(letters("predicted"))}
    named |= {name: [lines[i]["predicted"] for i in ids] for name, lines in whole.items()}
    labels = sorted({*truth, *(label for column in named.values() for label in column)})
    columns = [
        [LabelPrediction(i, labels.index(t), labels.index(p), len(labels)) for i, t, p in zip(ids, truth, column, strict=True)]
        for column in named.values()
    ]
    scores = {name: scheme.scores(truth, column) for name, column in named.items()}
    numbers = numbers_of(dict.fromkeys(map(metric, METRICS), columns), confidence)
    return {
        "runs": list(named), "states": ["four binary models", *("16 labels" for _ in whole)], "differences": {}, "dimensions": scores,
        "rows": len(ids), "confidence": confidence, "metrics": numbers, "notes": notes(scores),
    }  # fmt: skip


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
    found = {line["id"]: line for line in read_lines(run / "eval" / "predictions.jsonl") if line["model"] == "tuned"}
    if not found:
        raise UserError(Problem(Location(str(run.path)), "has not been evaluated", f"recipe eval {run.path}"))
    return found


def notes(scores: dict[str, dict[str, dict[str, float]]]) -> list[str]:
    """Return the accuracy of each letter, one line per model."""
    return [
        f"{name}: " + ", ".join(f"{dimension} {found['accuracy']:.3f}" for dimension, found in letters.items())
        for name, letters in scores.items()
    ]
