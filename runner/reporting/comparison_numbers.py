"""The numbers of several runs with a paired test, computed again from their predictions: the evaluated rows, the rubric, further sets.

The first run is what the others are compared with. A table is compared on the same rows only.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from hashlib import blake2b
from typing import Any, NamedTuple

from ...schemas.base.errors import Problem, UserError
from ...schemas.evaluation_sections import Criterion
from ..evaluation.classification import read_classified
from ..evaluation.intervals import bootstrap, differences, draw_resamples
from ..evaluation.metrics import Metric, Prediction, metric
from ..evaluation.minimal_pairs import MEAN, means
from ..evaluation.rubric import criterion_metric, read_ratings
from ..evaluation.scoring import BASE, TUNED, as_json, classified, read_predictions
from ..runtime.run_files import EVALUATION, LAST_REQUEST, METRICS, PREDICTIONS, RIGHT_PAIRS, ROWS, SETS
from ..runtime.run_folder import RunFolder
from ..runtime.seals import read_sealed

OF_TOKENS = ("perplexity", "token_accuracy", "reply_tokens")  # in a model's own tokens: not comparable across tokenizers
Scores = Sequence[Mapping[str, Any]]  # of each run, what metrics.json says of a table


class _Sampling(NamedTuple):
    confidence: float
    seed: int = 0


def compare_numbers(runs: list[RunFolder], seed: int) -> dict[str, Any]:
    """Return rows, confidence, metrics and notes of the evaluated rows; the same for the `rubric`, and as `also` for every further
    set and the minimal pairs.

    Raises UserError if the runs were evaluated on different rows; a rubric or a set that differs is not compared, with a note.
    """
    require_same_rows(runs)
    metrics = [run.read(METRICS) for run in runs]
    sampling = _Sampling(metrics[0]["confidence"], seed)
    found = _of_rows(runs, EVALUATION, metrics, sampling)
    bits = [of_run.get("evaluated_with", {}).get("bits", 0) for of_run in metrics]
    if _differ(bits):
        found["notes"].append(f"A difference may be one of rounding: the weights were evaluated in {_named(bits)} (0: as they are stored).")
    rubrics = [of_run.get("rubric") for of_run in metrics]
    if any(rubrics):
        if reason := _differs(rubrics):
            found["notes"].append(f"The rubric is not compared: {reason}.")
        else:
            found["rubric"] = _of_rubric(runs, [rubric for rubric in rubrics if rubric], sampling)
    found["also"] = {}
    for name in dict.fromkeys(name for of_run in metrics for name in of_run.get("also", {})):
        folder, scores = f"{EVALUATION}/{SETS}/{name}", [of_run.get("also", {}).get(name) for of_run in metrics]
        if not all(scores):
            found["notes"].append(f"The set {name} is not compared: not every run has it.")
        elif len({row_set(run, folder) for run in runs}) > 1:
            found["notes"].append(f"The set {name} is not compared: it has different rows in these runs.")
        else:
            found["also"][name] = _of_rows(runs, folder, [of_run for of_run in scores if of_run], sampling)
    blimp = [of_run.get("blimp") for of_run in metrics]
    if any(blimp):
        known = [of_run and (of_run["source"], of_run["pairs"]) for of_run in blimp]
        if any(pairs != known[0] for pairs in known):
            found["notes"].append("The minimal pairs are not compared: not every run has the same.")
        else:
            found["also"]["minimal pairs"] = _of_pairs(runs, sampling)
    return found


def require_same_rows(runs: list[RunFolder]) -> None:
    """Raise UserError where the evaluated rows of a run are not those of the first, saying how many they share."""
    sets = [row_set(run, EVALUATION) for run in runs]
    for run, rows in zip(runs[1:], sets[1:], strict=True):
        if rows != sets[0]:
            what = (
                f"was evaluated on different rows than {runs[0].path}: {len(rows)} and {len(sets[0])} rows, {len(rows & sets[0])} in common"
            )
            hint = "evaluate both on the same split: the same data section, evaluation.split, max_rows and generation.seed"
            raise UserError(Problem(run.path, what, hint, "other-rows"))


def row_set(run: RunFolder, folder: str) -> frozenset[bytes]:
    """Return the rows of a table, as hashes. Raises UserError if they have changed since they were evaluated, or cannot be read."""
    path = run / folder / ROWS
    try:
        lines = read_sealed(path).splitlines()
    except OSError as error:
        raise UserError(Problem(path, f"cannot be read: {error.strerror}", f"recipe eval {run.path}", "damaged")) from None
    return frozenset(blake2b(line, digest_size=16).digest() for line in lines)


def numbers_of(columns: Mapping[Metric, list[list[Any]]], confidence: float, seed: int = 0) -> dict[str, Any]:
    """Return each metric for every column with the same rows, and how the other columns differ from the first."""
    drawn = {rows: draw_resamples(rows, seed) for rows in {len(of_metric[0]) for of_metric in columns.values()}}
    compared = {
        (measure.name, place): (measure, of_metric[0], column)
        for measure, of_metric in columns.items()
        for place, column in enumerate(of_metric[1:])
    }
    changes = differences(compared, drawn, confidence)
    return {
        measure.name: {
            "unit": measure.unit,
            "higher_is_better": measure.higher_is_better,
            "values": [as_json(bootstrap(measure, column, drawn[len(column)], confidence)) for column in of_metric],
            "changes": [as_json(changes[measure.name, place]) for place in range(len(of_metric) - 1)],
        }
        for measure, of_metric in columns.items()
    }


def _of_rows(runs: list[RunFolder], folder: str, scores: Scores, sampling: _Sampling) -> dict[str, Any]:
    """Return every metric that all runs measure on the folder's rows, for each tuned model, on the rows that all have answered."""
    shared = [name for name in scores[0]["metrics"] if all(name in of_run["metrics"] for of_run in scores)]
    columns, labels = _tuned_rows(runs, folder, scores)
    ids = set.intersection(*({case.id for case in column} for column in columns))
    columns = [[case for case in column if case.id in ids] for column in columns]
    notes = []
    unlike: dict[str, Callable[[str], bool]] = {}
    if any(_tokens(column) != _tokens(columns[0]) for column in columns):
        unlike["the models tokenize the rows differently"] = lambda name: name in OF_TOKENS
    if _differ(_reply_settings(run, folder) for run in runs):
        unlike["the replies were generated with other settings"] = lambda name: metric(name).needs_reply
    if _differ(_judge(of_run) for of_run in scores):
        unlike["they were judged by another model or with another prompt"] = lambda name: metric(name).needs == "judge"
    for why, is_unlike in unlike.items():
        if left_out := [name for name in shared if is_unlike(name)]:
            notes.append(f"Not compared, because {why}: {', '.join(left_out)}.")
        shared = [name for name in shared if name not in left_out]
    of_labels = [[classified(case, labels) for case in column] for column in columns] if labels else columns
    by_metric = {measure: of_labels if measure.needs == "labels" else columns for measure in map(metric, shared)}
    return {"rows": len(ids), "confidence": sampling.confidence, "metrics": numbers_of(by_metric, *sampling), "notes": notes}


def _differ(found: Iterable[Any]) -> bool:
    first, *others = found
    return any(other != first for other in others)


def _named(bits: Sequence[int]) -> str:
    return " and ".join(f"{count} bits" for count in dict.fromkeys(bits))


def _reply_settings(run: RunFolder, folder: str) -> dict[str, Any]:
    """Return what the replies of a table depend on besides the model; {} if the run does not say."""
    request: Mapping[str, Any] = run.find(LAST_REQUEST) or {}
    if folder != EVALUATION:
        request = request.get("sets", {}).get(folder.rpartition("/")[2], {})
    given = request.get("generation", {})
    return {key: given.get(key) for key in ("max_new_tokens", "temperature", *(["top_p"] if given.get("temperature") else []))}


def _judge(scores: Mapping[str, Any]) -> Any:
    return (judge["model"], judge["prompt"]) if (judge := scores.get("judge")) else None


def _tokens(column: list[Any]) -> list[int]:
    return [case.target_tokens for case in column if isinstance(case, Prediction)]


def _tuned_rows(runs: list[RunFolder], folder: str, scores: Scores) -> tuple[list[list[Any]], tuple[str, ...]]:
    """Return the tuned model's rows of each run in the order of their ids, and the labels of generated replies if all agree."""
    names = [of_run.get("labels", []) for of_run in scores]
    paths = [run / folder / PREDICTIONS for run in runs]
    if scores[0]["baseline"] != BASE:
        return [read_classified(path, labels)[TUNED] for path, labels in zip(paths, names, strict=True)], ()
    columns = [read_predictions(path)[TUNED] for path in paths]
    return columns, tuple(names[0]) if all(labels == names[0] for labels in names) else ()


def _of_pairs(runs: list[RunFolder], sampling: _Sampling) -> dict[str, Any]:
    """Return how many minimal pairs each tuned model got right, as the mean over files."""
    columns = [run.read(RIGHT_PAIRS)[TUNED] for run in runs]
    values, changes = means(columns, sampling.confidence)
    numbers = {"values": [*map(as_json, values)], "changes": [*map(as_json, changes)]}
    rows = sum(map(len, columns[0].values()))
    return {"rows": rows, "confidence": sampling.confidence, "notes": [],
            "metrics": {MEAN: {"unit": "%", "higher_is_better": True, **numbers}}}  # fmt: skip


def _differs(rubrics: list[Any]) -> str:
    """Return why the judges' scores of the runs cannot be compared; "" if they can."""
    if not all(rubrics):
        return "not every run was judged"
    if any(rubric["criteria"] != rubrics[0]["criteria"] for rubric in rubrics):
        return "the criteria differ"
    judges = [[judge["model"] for judge in rubric["judges"]] for rubric in rubrics]
    return "" if all(names == judges[0] for names in judges) else "the judges differ"


def _of_rubric(runs: list[RunFolder], rubrics: Scores, sampling: _Sampling) -> dict[str, Any]:
    """Return the judges' scores of each tuned model, on the rows that were judged in every run."""
    ratings = [{row: found for (model, row), found in read_ratings(run, EVALUATION).items() if model == TUNED} for run in runs]
    ids = sorted(set.intersection(*map(set, ratings)))
    columns = [[of_run[row] for row in ids] for of_run in ratings]
    units, judges = rubrics[0]["metrics"], len(rubrics[0]["judges"])
    criteria = {
        name: Criterion(text, "yes_no" if units[name]["unit"] == "%" else "1_to_5") for name, text in rubrics[0]["criteria"].items()
    }
    measures = [criterion_metric(name, criterion, judges) for name, criterion in criteria.items()]
    numbers = numbers_of(dict.fromkeys(measures, columns), *sampling)
    return {"rows": len(ids), "confidence": sampling.confidence, "metrics": numbers, "notes": []}
