"""Check that the parts of metrics.json belong together: what one of them names, the others have."""

from collections.abc import Iterator, Mapping
from typing import Any, cast

from .metrics_file import EstimateFacts, Metrics, Scores


def metrics_fault(metrics: Metrics) -> str:
    """Return the first inconsistency, in words; empty if there is none."""
    return next(_faults(metrics), "")


def _faults(metrics: Metrics) -> Iterator[str]:
    sets = {"": metrics, **metrics.get("also", {})}
    if "rubric" in metrics:
        sets["rubric"] = metrics["rubric"]
    tables = {**sets, **metrics.get("slices", {})}
    if "blimp" in metrics:
        tables |= {"blimp": metrics["blimp"]["mean"], "blimp by file": metrics["blimp"]["files"]}
    if "sentiment" in metrics:
        tables |= {f"sentiment of {group}": table for group, table in metrics["sentiment"]["groups"].items()}
    for name, table in tables.items():
        yield from (f"{name}: {what}" if name else what for what in _table_faults(table))
    for name, part in sets.items():
        yield from (f"{name}: {what}" if name else what for what in _gate_faults(part))
    if "rubric" in metrics and any((found["low"] is None) != (found["high"] is None) for found in metrics["rubric"]["agreement"].values()):
        yield "rubric: half an interval of the judges' agreement"
    yield from _label_faults(metrics)
    yield from _probe_faults(metrics)


def _table_faults(table: Scores) -> Iterator[str]:
    """Yield what a table lacks: each metric has the tuned model's number, the baseline's, and their difference."""
    for name in table["metrics"]:
        for model in ("tuned", table["baseline"]):
            if name not in table["models"].get(model, {}):
                yield f"no {name} of the {model} model"
                return
        if name not in table["differences"]:
            yield f"no difference of {name}"
            return
        numbers = (table["differences"][name], table["models"]["tuned"][name], table["models"][table["baseline"]][name])
        if numbers[0]["significant"] and any(number["value"] is None for number in numbers):
            yield f"{name} differs significantly, but was not measured"
    if "tuned" not in table["models"]:
        yield "no numbers of the tuned model"


def _gate_faults(table: Mapping[str, Any]) -> Iterator[str]:
    for name, gate in table["gates"].items():
        if gate["decided"] is False and next(undeciding(name, gate, table), None) is None:
            yield f"no number leaves the gate {name} undecided"


def undeciding(name: str, gate: Mapping[str, Any], table: Mapping[str, Any]) -> Iterator[EstimateFacts]:
    """Yield the numbers that leave a gate undecided: those without an interval, and those with a limit inside it."""
    bounds = [(table["models"]["tuned"].get(name), (gate["min"], gate["max"])), (gate["regression"], (gate["max_regression"],))]
    for estimate, limits in bounds:
        given = [limit for limit in limits if limit is not None]
        if estimate is None or not given:
            continue
        low, high = estimate["low"], estimate["high"]
        if low is None or high is None or any(low <= limit <= high for limit in given):
            yield estimate


def _label_faults(metrics: Metrics) -> Iterator[str]:
    """Yield what the tables of labels lack: all have the same labels."""
    labels = metrics.get("labels", [])
    if "confusion" in metrics:
        width = len(labels) + metrics.get("confusion_has_invalid", False)
        if [len(counts) for counts in metrics["confusion"]] != [width] * len(labels):
            yield "the confusion matrix does not have the labels"
    if "by_label" in metrics:
        if not {"confusion", "calibration_error"} <= metrics.keys() or not {"tuned", "tfidf"} <= metrics["by_label"].keys():
            yield "the scores by label are incomplete"
        if any([row["label"] for row in rows] != labels for rows in metrics["by_label"].values()):
            yield "the scores by label do not have the labels"
    by_letter = metrics.get("dimensions", {"tuned": {}})
    if any(scores.keys() != by_letter.get("tuned", {}).keys() for scores in by_letter.values()):
        yield "the scores by letter do not have the same letters"


def _probe_faults(metrics: Metrics) -> Iterator[str]:
    """Yield what the probes lack: the two models have the same prompts and files."""
    lens, blimp, prompts = metrics.get("lens"), metrics.get("blimp"), metrics.get("prompts")
    if lens and [shown["prompt"] for shown in lens["base"]] != [shown["prompt"] for shown in lens["tuned"]]:
        yield "lens: the models do not have the same prompts"
    if blimp and blimp["pairs"].keys() != blimp["files"]["metrics"].keys():
        yield "blimp: the scores do not have the files of the pairs"
    if blimp and len(blimp["mean"]["metrics"]) != 1:
        yield "blimp: no mean over the files"
    if prompts:
        if "base" in prompts and len(prompts["base"]) != len(prompts["tuned"]):
            yield "prompts: the models do not have the same number of answers"
        if any(_is_half_an_answer(cast(Mapping[str, object], answer)) for model in ("base", "tuned") for answer in prompts.get(model, [])):
            yield "prompts: an answer is incomplete"


def _is_half_an_answer(answer: Mapping[str, object]) -> bool:
    """Return whether the answer has neither an error, nor a reply, nor probabilities."""
    return not any(
        keys <= answer.keys() for keys in ({"prompt", "error"}, {"prompt", "probabilities"}, {"prompt", "reply", "finish_reason"})
    )
