"""Compare runs: what differs in recipe, data and environment, then the metrics with a paired test. Needs no model.

The others are compared with the first run. Every metric is computed again from predictions.jsonl on the rows that all runs have in common,
which must be all of them: runs evaluated on different rows are not compared.
"""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

from ...converters.building.manifest import Manifest
from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.base.files import write_atomically
from ...schemas.base.screen import Screen
from ...schemas.recipe import load_recipe
from ...schemas.sections import Recipe
from ...schemas.yaml_writing import dotted, one_line
from ..evaluation.intervals import bootstrap, difference, draw_resamples
from ..evaluation.metrics import Prediction, metric
from ..evaluation.scoring import TUNED, as_json, classified, read_predictions
from ..runtime.resolved_values import effective_values
from ..runtime.run_files import LOCK, MANIFEST, Lock
from ..runtime.run_folder import RunFolder
from .report import environment
from .tables import print_columns, table_width
from .verdicts import NO_DIFFERENCE, direction, metric_name, number, verdict

OF_TOKENS = ("perplexity", "token_accuracy", "reply_tokens")  # in a model's own tokens: not comparable across tokenizers
_FACTS = ("metrics.json", "predictions.jsonl", "rows.jsonl")


def compare(runs: list[RunFolder]) -> dict[str, Any]:
    """Return names, rows, differences (section -> key -> a value per run), metrics with every run's estimate and change, and notes.

    Raises UserError if a run has not been evaluated.
    """
    names = short_names([run.path for run in runs])
    for run in runs:
        if absent := [name for name in _FACTS if not (run / "eval" / name).is_file()]:
            raise UserError(Problem(Location(str(run.path)), f"has not been evaluated: no eval/{absent[0]}", f"recipe eval {run.path}"))
    same_rows(runs)
    recipes = [load_recipe(run.recipe_file) for run in runs]
    keys = [{dotted(path): found.value for path, found in effective_values(loaded).items()} for loaded in recipes]
    facts = [(run.read(MANIFEST), run.read(LOCK)) for run in runs]
    differences = {
        "recipe": differing(keys),
        "data": differing([data_facts(manifest) for manifest, _ in facts]),
        "environment": differing([environment_facts(lock) for _, lock in facts]),
    }
    measured = numbers(runs, [loaded.recipe for loaded in recipes])
    return {"runs": names, "states": [run.status.get("state") for run in runs], "differences": differences, **measured}


def short_names(paths: list[Path]) -> list[str]:
    """Return recipe/timestamp of each run, with more of the path if needed to distinguish them. Raises UserError for a repeated run."""
    depth = 2
    while len({path.resolve().parts[-depth:] for path in paths}) < len(paths) and depth < 32:
        depth += 1
    if len({path.resolve() for path in paths}) < len(paths):
        raise UserError("the same run is given twice", hint="compare different runs")
    return ["/".join(path.resolve().parts[-depth:]) for path in paths]


def same_rows(runs: list[RunFolder]) -> None:
    """Raise UserError if the evaluated rows of a run differ from the first run's, with the number that they share."""
    sets = [{blake2b(line, digest_size=16).digest() for line in (run / "eval/rows.jsonl").read_bytes().splitlines()} for run in runs]
    for run, rows in zip(runs[1:], sets[1:], strict=True):
        if rows != sets[0]:
            what = (
                f"was evaluated on different rows than {runs[0].path}: {len(rows)} and {len(sets[0])} rows, {len(rows & sets[0])} in common"
            )
            hint = "evaluate both on the same split: the same data section, evaluation.split, max_rows and generation.seed"
            raise UserError(Problem(Location(str(run.path)), what, hint, "other-rows"))


def differing(columns: list[dict[str, Any]]) -> dict[str, list[Any]]:
    """Return the keys whose values differ between columns, with the values; None if a column lacks one."""
    keys = dict.fromkeys(key for column in columns for key in column)
    values = {key: [column.get(key) for column in columns] for key in keys}
    return {key: found for key, found in values.items() if any(value != found[0] for value in found)}


def data_facts(manifest: Manifest) -> dict[str, Any]:
    """Return a run's data for a comparison: its rows, its sources' hashes, the hash of each split."""
    facts = {key: manifest.get(key) for key in ("rows_in", "rows_kept", "dropped", "fixed", "splits", "labels")}
    sources = [file.get("sha256", "")[:12] for source in manifest.get("sources", []) for file in source.get("files", [])]
    files = {f"{name} sha256": found.get("sha256", "")[:12] for name, found in manifest.get("files", {}).items()}
    return {**facts, "sources' sha256": sources, **files}


def environment_facts(lock: Lock) -> dict[str, Any]:
    """Return a run's training environment for a comparison."""
    packages = {f"packages.{name}": version for name, version in lock.get("packages", {}).items()}
    machine = {f"machine.{name}": value for name, value in lock.get("machine", {}).items()}
    model = {"base model's identity": lock.get("model", {}).get("identity", "")[:40]}
    return {"recipekit": lock.get("recipekit"), "python": lock.get("python"), **model, **packages, **machine}


def numbers(runs: list[RunFolder], recipes: list[Recipe]) -> dict[str, Any]:
    """Return every metric that all runs measure, for each tuned model; from the second run on with the change and its significance."""
    evaluation = recipes[0].evaluation
    shared = [name for name in evaluation.metrics if all(name in recipe.evaluation.metrics for recipe in recipes)]
    columns, labels = tuned_rows(runs, recipes)
    ids = set.intersection(*({case.id for case in column} for column in columns))
    columns = [[case for case in column if case.id in ids] for column in columns]
    notes = []
    if isinstance(columns[0][0], Prediction) and any(
        [c.target_tokens for c in column] != [c.target_tokens for c in columns[0]] for column in columns
    ):
        left_out = [name for name in shared if name in OF_TOKENS]
        shared = [name for name in shared if name not in OF_TOKENS]
        if left_out:
            notes.append(f"Not compared, because the models tokenize the rows differently: {', '.join(left_out)}.")
    found: dict[str, Any] = {}
    for name in shared:
        cases = [
            [classified(case, labels) for case in column] if labels and metric(name).needs == "labels" else column for column in columns
        ]
        found |= numbers_of(cases, (name,), evaluation.confidence, evaluation.generation.seed)
    return {"rows": len(ids), "confidence": evaluation.confidence, "metrics": found, "notes": notes}


def numbers_of(columns: list[list[Any]], names: Sequence[str], confidence: float, seed: int = 0) -> dict[str, Any]:
    """Return each metric for every column of the same rows, and how each column differs from the first."""
    resamples = draw_resamples(len(columns[0]), seed)
    found: dict[str, Any] = {}
    for name in names:
        measure = metric(name)
        values = [as_json(bootstrap(measure, column, resamples, confidence)) for column in columns]
        changes = [as_json(difference(measure, columns[0], column, resamples, confidence)) for column in columns[1:]]
        found[name] = {"unit": measure.unit, "higher_is_better": measure.higher_is_better, "values": values, "changes": changes}
    return found


def tuned_rows(runs: list[RunFolder], recipes: list[Recipe]) -> tuple[list[list[Any]], tuple[str, ...]]:
    """Return the tuned model's rows of each run, sorted by id, and the labels of generated replies if all runs have the same."""
    if recipes[0].data.type != "classification":
        same = all(recipe.evaluation.labels == recipes[0].evaluation.labels for recipe in recipes)
        columns = [read_predictions(run / "eval/predictions.jsonl", run / "eval/rows.jsonl")[TUNED] for run in runs]
        return columns, recipes[0].evaluation.labels if same else ()
    from ..evaluation.classification import read_classified

    labels = [run.read(MANIFEST).get("labels", []) for run in runs]
    return [read_classified(run / "eval/predictions.jsonl", names)[TUNED] for run, names in zip(runs, labels, strict=True)], ()


def write_page(found: dict[str, Any], path: Path) -> Path:
    """Write the page and return its path."""
    metrics = found["metrics"].items()
    verdicts = {name: [verdict(change, facts["higher_is_better"]) for change in facts["changes"]] for name, facts in metrics}
    rendered = (
        environment()
        .get_template("comparison.html.j2")
        .render(found=found, letters=run_letters(found), answer=answer(found), one_line=one_line, verdicts=verdicts)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, rendered.encode())
    return path


def answer(found: dict[str, Any]) -> str:
    """Say which runs differ significantly from the first, and on which metrics, in one or two sentences."""
    sentences = []
    for place, letter in enumerate(run_letters(found)[1:]):
        changed: dict[str, list[str]] = {"better": [], "worse": []}
        for name, facts in found["metrics"].items():
            if word := direction(facts["changes"][place], facts["higher_is_better"]):
                changed[word].append(name.replace("_", " "))
        parts = [f"{word} on {', '.join(names)}" for word, names in changed.items() if names]
        sentences.append(f"{letter} is {' and '.join(parts)} than A." if parts else f"{NO_DIFFERENCE} between {letter} and A.")
    return f"On {found['rows']} rows: " + " ".join(sentences)


def run_letters(found: dict[str, Any]) -> list[str]:
    """Return A, B, C ... for the runs; numbers after Z."""
    return [chr(ord("A") + index) if index < 26 else str(index + 1) for index in range(len(found["runs"]))]


def print_comparison(found: dict[str, Any], console: Screen) -> None:
    """Print what differs by section, then a row for each metric: every run's value and how it differs from the first run's."""
    letters = run_letters(found)
    for letter, name, state in zip(letters, found["runs"], found["states"], strict=True):
        console.print_words(f"{letter}  {name}  ({state})", 3)
    for section, differences in found["differences"].items():
        console.print()
        if not differences:
            console.print(f"{section}: the same")
            continue
        _print_differences(section, differences, letters, console)
    console.print()
    _print_metrics(found, letters, console)
    for note in found["notes"]:
        console.print(note)


def _print_differences(section: str, differences: dict[str, list[Any]], letters: list[str], console: Screen) -> None:
    """Print the values of each key side by side, or below each other if they do not fit."""
    shown = {key: [one_line(value) for value in values] for key, values in differences.items()}
    columns = {f"{section}: what differs": list(shown), **dict(zip(letters, map(list, zip(*shown.values(), strict=True)), strict=True))}
    if table_width(columns) <= console.width:
        console.print_table(columns)
        return
    console.print(f"{section}: what differs", style="bold")
    for key, values in shown.items():
        console.print_words(key)
        for letter, value in zip(letters, values, strict=True):
            console.print_words(f"  {letter}  {value}", 5)


def _print_metrics(found: dict[str, Any], letters: list[str], console: Screen) -> None:
    """Print each run's metrics, and how much they differ from the first run's."""
    metrics = found["metrics"]
    names = {"metric": [metric_name(name, facts["unit"]) for name, facts in metrics.items()]}
    columns: dict[str, list[str]] = {}
    for index, letter in enumerate(letters):
        columns[letter] = [number(facts["values"][index]) for facts in metrics.values()]
        if index:
            changes = [verdict(facts["changes"][index - 1], facts["higher_is_better"]) for facts in metrics.values()]
            columns[f"{letter} - {letters[0]}"] = changes
    print_columns(names, columns, console, f"{found['rows']} rows, {found['confidence']:.0%} intervals, paired")
