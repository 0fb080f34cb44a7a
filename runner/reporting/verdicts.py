"""Describe metrics.json in words: what changed, whether it is significant, and the gates. All tables and pages use these words."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...schemas.base.counted import counted, counted_of
from ..evaluation.intervals import LEAST_ROWS
from ..evaluation.significance import least_rows
from ..runtime.metrics_faults import undeciding
from ..runtime.metrics_file import EstimateFacts

LABELS = {
    "base": "base", "majority": "majority class", "mentioned": "most mentioned label",
    "tfidf": "TF-IDF + logistic regression", "tuned": "tuned", "reference": "the data's own replies",
}  # fmt: skip
VERDICT_COLOURS = {"better": "good", "worse": "bad"}
SEEN = 0.2  # share of near-duplicates of training rows from which the answer says so
NO_DIFFERENCE = "no significant difference"
CHANGED = "changed"  # significantly, in a metric of which neither more nor less is better
NAMES = {
    "macro_f1": "macro-F1", **{f"bleu_{order}": f"BLEU-{order}" for order in range(1, 5)},
    "rouge_1": "ROUGE-1", "rouge_2": "ROUGE-2", "rouge_l": "ROUGE-L",
}  # fmt: skip


def columns_of(scores: Mapping[str, Any]) -> list[str]:
    """Return the models of a table that have numbers, in the order of columns."""
    return [name for name in LABELS if scores["models"].get(name)]


def number(estimate: Mapping[str, Any] | None) -> str:
    """Format as `12.3 [11.0, 13.9]`; empty if the metric does not apply, without brackets if there is no interval."""
    if estimate is None:
        return ""
    if estimate["value"] is None:
        return "not measurable"
    if estimate["low"] is None and estimate["high"] is None:
        return digits(estimate["value"])
    low, high = (digits(estimate[key]) if estimate[key] is not None else "?" for key in ("low", "high"))
    return f"{digits(estimate['value'])} [{low}, {high}]"


def without_interval(rows: int, estimates: Mapping[str, Iterable[Mapping[str, Any] | None]]) -> Iterator[str]:
    """Yield why numbers have no interval, and of which metrics; nothing if all have one. `estimates` has a metric's numbers."""
    bare = [name for name, found in estimates.items() if any(one and "[" not in number(one) and one["value"] is not None for one in found)]
    if bare:
        why = f"{LEAST_ROWS} rows are needed" if rows < LEAST_ROWS else "the rows are too few, or too much alike"
        yield f"Numbers without an interval ({', '.join(map(metric_name, bare))}): {why}."


def digits(value: float, sign: str = "") -> str:
    """Format with two decimals; three up to 1, such as an F1."""
    return f"{value:{sign}.{2 if abs(value) > 1 else 3}f}"


def metric_name(name: str, unit: str = "") -> str:
    """Return a metric's name for display, with its unit."""
    return NAMES.get(name, name.replace("_", " ")) + (f" ({unit})" if unit else "")


def baseline_name(metrics: Mapping[str, Any]) -> str:
    """Return the name of the baseline in a sentence."""
    return "the base model" if metrics["baseline"] == "base" else LABELS[metrics["baseline"]]


def change_title(metrics: Mapping[str, Any]) -> str:
    """Return the head of the column of changes."""
    return "change" if metrics["baseline"] == "base" else f"against {LABELS[metrics['baseline']]}"


def direction(change: dict[str, Any], higher_is_better: bool | None) -> str:
    """Return `better` or `worse` for a significant change of a metric with a direction, else empty."""
    if higher_is_better is None or not change["significant"]:
        return ""
    return "better" if (change["value"] > 0) == higher_is_better else "worse"


def verdict(change: dict[str, Any], higher_is_better: bool | None) -> str:
    """Describe the change in words; empty if there is none to measure."""
    if change["value"] is None:
        return ""
    word = (direction(change, higher_is_better) or CHANGED) if change["significant"] else NO_DIFFERENCE
    return f"{digits(change['value'], '+')}, {word}"


def verdicts(metrics: Mapping[str, Any]) -> dict[str, str]:
    """Describe each metric's change in words."""
    return {name: verdict(metrics["differences"][name], metric["higher_is_better"]) for name, metric in metrics["metrics"].items()}


def answer(metrics: Mapping[str, Any], manifest: Mapping[str, Any] | None = None) -> str:
    """Answer "did it work?" in one sentence, and with the manifest say whether the rows were seen in training."""
    return _change(metrics) + (_seen(metrics["split"], manifest) if manifest else "")


def _seen(split: str, manifest: Mapping[str, Any]) -> str:
    """Return how many rows of the split are near-duplicates of training rows, if they are enough to change what the numbers say."""
    rows = manifest["splits"].get(split, 0)
    near = ((manifest.get("leaks") or {}).get("near_duplicates") or {}).get("rows", {}).get(split, 0)
    if near <= SEEN * rows:
        return ""
    return f" {counted_of(near, rows, f'{split} row', 'are')} near-duplicates of training rows: on new rows it may do less well."


def _change(metrics: Mapping[str, Any]) -> str:
    """Return the first metric with a significant change, or that there is none."""
    models, baseline, other = metrics["models"], metrics["baseline"], baseline_name(metrics)
    rows = "On " + counted(metrics["rows"], f"{metrics['split']} row")
    words = {name: direction(metrics["differences"][name], metric["higher_is_better"]) for name, metric in metrics["metrics"].items()}
    for name, metric in metrics["metrics"].items():
        if word := words[name]:
            before, tuned = (digits(models[model][name]["value"]) for model in (baseline, "tuned"))
            unit = f" {metric['unit']}" if metric["unit"] else ""
            label = f"{metric_name(name)} is {word} than that of {other}"
            against = ", ".join(metric_name(other) for other, found in words.items() if found not in ("", word))
            but = f" But it is {'worse' if word == 'better' else 'better'} in {against}." if against else ""
            return f"{rows} the tuned model's {label}: {tuned}{unit} against {before}{unit}.{but}{no_better_than(metrics, name)}"
    for name in metrics["metrics"]:
        if models["tuned"][name]["value"] is None and models[baseline][name]["value"] is not None:
            return f"{rows} the tuned model's {metric_name(name)} could not be measured, while that of {other} could: see the losses."
    if changed := changed_names(metrics["metrics"], metrics["differences"]):
        return f"{rows} the tuned model is not significantly better or worse than {other}; changed: {', '.join(changed)}."
    least = least_rows(metrics["confidence"], max(len(metrics["metrics"]), 1))
    few = f" With fewer than {least} rows no difference can be significant." if metrics["rows"] < least else ""
    return f"{rows} there is {NO_DIFFERENCE} between the tuned model and {other}.{few}"


def changed_names(metrics: Mapping[str, Any], changes: Mapping[str, Any]) -> list[str]:
    """Return the metrics with a significant change that is neither better nor worse."""
    return [metric_name(name) for name, metric in metrics.items() if metric["higher_is_better"] is None and changes[name]["significant"]]


def no_better_than(metrics: Mapping[str, Any], name: str) -> str:
    """Name the baselines without a language model that are as good in a metric as the tuned model: beating the base model then means
    little."""
    models, sign = metrics["models"], 1 if metrics["metrics"][name]["higher_is_better"] else -1
    others = [model for model in models if model not in (metrics["baseline"], "base", "tuned", "reference") and name in models[model]]
    values = {model: models[model][name]["value"] for model in others if models[model][name]["value"] is not None}
    equal = [f"{LABELS[model]}: {digits(value)}" for model, value in values.items() if sign * (models["tuned"][name]["value"] - value) <= 0]
    return f" It is no better than a baseline without a language model ({', '.join(equal)})." if equal else ""


def all_scores(metrics: Mapping[str, Any]) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the tables of an evaluation with their names: the evaluated split with an empty one, then the rubric and the further sets."""
    yield "", metrics
    if rubric := metrics.get("rubric"):
        yield "rubric", rubric
    yield from metrics.get("also", {}).items()


def gate_lines(metrics: Mapping[str, Any], passed: tuple[bool, ...] = (True, False)) -> list[str]:
    """Return a line for each gate of every table: whether it passed, and whether the rows suffice to decide."""
    return [
        gate_line(name, gate, scores, f"{place}: " if place else "")
        for place, scores in all_scores(metrics)
        for name, gate in scores["gates"].items()
        if gate["passed"] in passed
    ]


def failed_gates(metrics: Mapping[str, Any]) -> list[str]:
    """Return the gates that failed, as metric or table.metric."""
    return [
        ".".join(filter(None, (place, name)))
        for place, scores in all_scores(metrics)
        for name, gate in scores["gates"].items()
        if not gate["passed"]
    ]


def rubric_lines(rubric: Mapping[str, Any]) -> list[str]:
    """Return who judged how many replies, and how far the judges agree."""
    lines = [
        f"Judged by {judge['model']}: {counted(judge['judged'], 'reply')} scored; {counted(judge['unread'], 'answer')} without scores"
        f"{' (read them in eval/rubric.jsonl)' if judge['unread'] else ''}, "
        f"{counted(judge['failed'], 'request')} without a reply."
        for judge in rubric["judges"]
    ]
    agreed = [f"{name} {_alpha(found)}" for name, found in rubric["agreement"].items()]
    return [*lines, *([f"Agreement of the judges (Krippendorff's alpha): {', '.join(agreed)}."] if agreed else [])]


def pairs_line(blimp: Mapping[str, Any]) -> str:
    """Describe the minimal pairs that each model got right, as the mean over files, and whether the models differ."""
    (name,) = blimp["mean"]["metrics"]
    base, tuned = (number(blimp["mean"]["models"][model][name]) for model in ("base", "tuned"))
    change = verdict(blimp["mean"]["differences"][name], higher_is_better=True)
    files = counted(len(blimp["pairs"]), "file")
    counts = f"{counted(blimp['mean']['rows'], 'minimal pair')} of {blimp['source']} in {files}"
    return f"{counts}, right in % (mean of the files): base {base}, tuned {tuned}; {change}."


def _alpha(found: Mapping[str, Any]) -> str:
    if found["alpha"] is None:
        return f"undefined ({counted(found['replies'], 'reply')}, or all scores equal)"
    interval = f" [{found['low']:.2f}, {found['high']:.2f}]" if found["low"] is not None else f" ({counted(found['replies'], 'reply')})"
    return f"{found['alpha']:.2f}{interval}"


def gate_line(name: str, gate: Mapping[str, Any], metrics: Mapping[str, Any], place: str = "") -> str:
    """Format as `passed: perplexity is 4.00, at most 5 is required`, with the reason if it is undecided."""
    value = "not measured" if gate["value"] is None else digits(gate["value"])
    limits = [f"{word} {gate[key]:g}" for key, word in (("min", "at least"), ("max", "at most")) if gate[key] is not None]
    parts = [f"{place}{name} is {value}", *([f"{' and '.join(limits)} is required"] if limits else [])]
    if regression := gate["regression"]:
        parts += [_against_base(regression["value"]), f"at most {gate['max_regression']:g} worse is allowed"]
    line = f"{'passed' if gate['passed'] else 'FAILED'}: {', '.join(parts)}"
    if gate["decided"] is not False:
        return line
    why = _undecided(next(undeciding(name, gate, metrics)), metrics["confidence"])
    return f"{line}; {counted(metrics['rows'], 'row', 'do')} not decide it: {why}"


def _against_base(regression: float | None) -> str:
    if regression is None:
        return "its difference from the base model is not measured"
    if not regression:
        return "equal to the base model"
    return f"{digits(abs(regression))} {'worse' if regression > 0 else 'better'} than the base model"


def _undecided(estimate: EstimateFacts, confidence: float) -> str:
    """Return why a number leaves its gate undecided."""
    if estimate["low"] is None or estimate["high"] is None:
        return "too few, or too much alike, for an interval"
    return f"the {confidence:.0%} interval {number(estimate).partition(' ')[2]} is on both sides of the limit"
