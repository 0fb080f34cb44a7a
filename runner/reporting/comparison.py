"""Compare runs: what differs in recipe, data and environment, then the metrics. Needs no model."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from ...converters.building.manifest import Manifest
from ...schemas.base.counted import counted
from ...schemas.base.errors import Problem, UserError
from ...schemas.base.files import write_atomically
from ...schemas.base.screen import Screen
from ...schemas.recipe import load_recipe
from ...schemas.yaml_writing import dotted, one_line
from ..runtime.resolved_values import effective_values
from ..runtime.run_files import EVALUATION, LOCK, MANIFEST, PREDICTIONS, ROWS, Lock
from ..runtime.run_folder import RunFolder
from .charts import interval_plot
from .comparison_numbers import compare_numbers
from .tables import print_columns, table_width
from .templates import environment
from .verdicts import NO_DIFFERENCE, VERDICT_COLOURS, all_scores, changed_names, direction, metric_name, number, verdict, without_interval

_FACTS = ("metrics.json", PREDICTIONS, ROWS)


def compare(runs: list[RunFolder]) -> dict[str, Any]:
    """Return names, differences (section -> key -> a value per run) and the numbers of comparison_numbers.py.

    Raises UserError if a run has not been evaluated, or on other rows than the first.
    """
    names = short_names([run.path for run in runs])
    for run in runs:
        if absent := [name for name in _FACTS if not (run / EVALUATION / name).is_file()]:
            raise UserError(Problem(run.path, f"has not been evaluated: no eval/{absent[0]}", f"recipe eval {run.path}"))
    recipes = [load_recipe(run.recipe_file) for run in runs]
    measured = compare_numbers(runs, recipes[0].recipe.evaluation.generation.seed)
    keys = [{dotted(path): found.value for path, found in effective_values(loaded).items()} for loaded in recipes]
    facts = [(run.read(MANIFEST), run.read(LOCK)) for run in runs]
    differences = {
        "recipe": differing(keys),
        "data": differing([data_facts(manifest) for manifest, _ in facts]),
        "environment": differing([environment_facts(lock) for _, lock in facts]),
    }
    return {"runs": names, "states": [_state(run) for run in runs], "differences": differences, **measured}


def _state(run: RunFolder) -> str:
    return f"{run.state}, a smoke run" if run.is_smoke else run.state


def short_names(paths: list[Path]) -> list[str]:
    """Return recipe/timestamp of each run, with more of the path if needed to distinguish them. Raises UserError for a repeated run."""
    depth = 2
    while len({path.resolve().parts[-depth:] for path in paths}) < len(paths) and depth < 32:
        depth += 1
    if len({path.resolve() for path in paths}) < len(paths):
        raise UserError("the same run is given twice", hint="compare different runs")
    return ["/".join(path.resolve().parts[-depth:]) for path in paths]


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


def write_page(found: dict[str, Any], path: Path) -> Path:
    """Write the page and return its path."""
    tables = [
        {"place": place, "title": f"Numbers of {place}" if place else "Numbers", "found": scores, "verdicts": _verdicts(scores),
         "notes": _notes(scores),
         "plots": {name: interval_plot((f"run{index % 5}", value) for index, value in enumerate(facts["values"]))
                   for name, facts in scores["metrics"].items()}}
        for place, scores in all_scores(found)
    ]  # fmt: skip
    rendered = (
        environment()
        .get_template("comparison.html.j2")
        .render(found=found, letters=run_letters(found), answer=answer(found), one_line=one_line, tables=tables)
    )
    path.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(path, rendered.encode())
    return path


def _verdicts(scores: Mapping[str, Any]) -> dict[str, list[str]]:
    """Return how each run differs from the first, in words, by metric."""
    return {name: [verdict(change, facts["higher_is_better"]) for change in facts["changes"]] for name, facts in scores["metrics"].items()}


def _notes(scores: Mapping[str, Any]) -> list[str]:
    """Return what is said below a table: what is not compared, and why a number has no interval."""
    return [*scores["notes"], *without_interval(scores["rows"], {name: facts["values"] for name, facts in scores["metrics"].items()})]


def answer(found: dict[str, Any]) -> str:
    """Return which runs differ significantly from the first, on which metrics: a sentence or two for each table."""
    letters = run_letters(found)[1:]
    return " ".join(
        f"On {counted(scores['rows'], 'row')}{f' of {place}' if place else ''}: " + " ".join(_sentences(scores, letters))
        for place, scores in all_scores(found)
    )


def _sentences(scores: Mapping[str, Any], letters: list[str]) -> Iterator[str]:
    """Return which of the other runs do not differ from the first, then how each of the others does."""
    same, different = [], []
    for place, letter in enumerate(letters):
        changed: dict[str, list[str]] = {"better": [], "worse": []}
        for name, facts in scores["metrics"].items():
            if word := direction(facts["changes"][place], facts["higher_is_better"]):
                changed[word].append(metric_name(name))
        parts = [f"{word} on {', '.join(names)}" for word, names in changed.items() if names]
        others = changed_names(scores["metrics"], {name: facts["changes"][place] for name, facts in scores["metrics"].items()})
        if not parts and not others:
            same.append(letter)
            continue
        also = f"; changed: {', '.join(others)}" if others else ""
        different.append(f"{letter} is {' and '.join(parts) or 'not significantly better or worse'} than A{also}.")
    if same:
        yield f"{NO_DIFFERENCE} between {same[0]} and A." if len(same) == 1 else f"{NO_DIFFERENCE} between A and any of {', '.join(same)}."
    yield from different


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
    for place, scores in all_scores(found):
        console.print()
        _print_metrics(place, scores, letters, console)
        for note in _notes(scores):
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


def _print_metrics(place: str, scores: Mapping[str, Any], letters: list[str], console: Screen) -> None:
    """Return each run's numbers of a table, and how much they differ from the first run's."""
    metrics, words = scores["metrics"], _verdicts(scores)
    names = {"metric": [metric_name(name, facts["unit"]) for name, facts in metrics.items()]}
    columns: dict[str, list[str]] = {}
    for index, letter in enumerate(letters):
        columns[letter] = [number(facts["values"][index]) for facts in metrics.values()]
        if index:
            columns[f"{letter} - {letters[0]}"] = [words[name][index - 1] for name in metrics]
    title = f"{place + ': ' if place else ''}{counted(scores['rows'], 'row')}, {scores['confidence']:.0%} intervals, paired"
    print_columns(names, columns, console, title, colours=VERDICT_COLOURS)
