"""Write report.html: one self-contained file. Its content is read from the run directory; all text from data is escaped."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...converters.building.budgets import composition
from ...schemas.base.counted import counted
from ...schemas.base.errors import Problem, UserError
from ...schemas.base.files import write_atomically
from ...schemas.recipe import LoadedRecipe, load_recipe
from ...schemas.yaml_writing import dotted, one_line
from ..evaluation.diversity import diversity_line
from ..evaluation.human_review import review_results
from ..evaluation.scoring import BASE, TUNED, read_predictions
from ..resources.batch_size import batch_text
from ..resources.fit import peak_text
from ..resources.training_time import measured_line
from ..runtime.metrics_file import Blimp, Losses, Metrics
from ..runtime.progress import loss_text, read_lines
from ..runtime.resolved_values import effective_values
from ..runtime.run_files import (
    EVALUATION,
    KERNELS,
    LOCK,
    MANIFEST,
    MASKS,
    METRICS,
    ORIGINS,
    PEAK_MEMORY,
    PREDICTIONS,
    REPORT,
    ROWS,
    SMOKE_KEYS,
    STEP_LOG,
    TIMING,
    TOKENS,
    PeakMemory,
    Timing,
)
from ..runtime.run_folder import RunFolder
from .charts import Series, interval_plot, line_chart
from .ledger_table import leaks_line
from .metrics_table import footnotes
from .report_mark import numbers_mark
from .report_rows import classified_rows, extremes, gains, ranking_metric, shown_rows
from .run_summary import edited_note
from .sample_prompts import answered_prompts, sampling
from .templates import environment
from .token_summary import token_summary
from .verdicts import answer, change_title, columns_of, gate_lines, pairs_line, rubric_lines, verdicts


def write_report(run: RunFolder, ending: dict[str, str] | None = None) -> Path:
    """Write the run's report.html from the run's files; return its path. `ending` is the state, with its reason, that the run will have
    once the report exists."""
    page = environment().get_template("report.html.j2").render(report_facts(run, {**run.status, **(ending or {})}))
    path = run / REPORT
    write_atomically(path, page.encode())
    return path


def report_facts(run: RunFolder, status: dict[str, Any]) -> dict[str, Any]:
    """Return the content of the page. Raises UserError if the run has not been evaluated."""
    metrics = run.find(METRICS)
    if metrics is None:
        raise UserError(f"{run.path} has not been evaluated: it is {run.state}", hint=run.completion_hint())
    lines, loaded, manifest = read_lines(run / STEP_LOG, "step"), stored_recipe(run), run.read(MANIFEST)
    return {
        "mark": numbers_mark(run),
        "name": status.get("recipe", run.path.parent.name),
        "run": run.path.name,
        "state": status["state"],
        "answer": answer(metrics, manifest),
        "manifest": manifest,
        "composition": composition(manifest["sources"]),
        "diversity": [(part, diversity_line(facts)) for part, facts in metrics.get("diversity", {}).items()],
        "token_lines": {split: token_summary(facts) for split, facts in (run.find(TOKENS) or {}).items()},
        "metrics": metrics,
        "numbers": score_table("Numbers", metrics, metrics.get("notes", [])),
        "gates": gate_lines(metrics),
        "slices": further_tables(metrics),
        "charts": charts(lines),
        "cost": [
            *loss_facts(metrics["losses"], loaded),
            *cost(lines, run.find(PEAK_MEMORY), run.find(TIMING)),
            batch_text(run.read(LOCK)["batch"]),
        ],
        "kernels": (run.find(KERNELS) or {"kernels": []})["kernels"],
        "rows": row_facts(run, metrics),
        "review": review_results(run),
        "pairs": pair_tables(metrics["blimp"]) if "blimp" in metrics else {},
        "sentiment": [score_table(f"{group} prompts", scores, []) for group, scores in found["groups"].items()]
        if (found := metrics.get("sentiment"))
        else [],
        "samples": answered_prompts(metrics),
        "sampling": sampling(metrics) if metrics.get("prompts") else "",
        "masks": read_lines(run / EVALUATION / MASKS, "id", "label", "segments"),
        "values": recipe_values(loaded, run.find(ORIGINS) or {}),
        "leaks": leaks_line(manifest),
        "recipe": Path(run.recipe_file).read_text(encoding="utf-8", errors="replace"),
        "lock": run.read(LOCK),
        "smoke": (run.find(SMOKE_KEYS) or {"keys": {}})["keys"],
        "reasons": [line for line in [status.get("reason"), edited_note(status)] if line],
    }


def further_tables(metrics: Metrics) -> list[dict[str, Any]]:
    """Return the tables after the first: slices of the evaluated rows, the rubric, and further evaluation sets."""
    parts = [score_table(name, part, []) for name, part in metrics.get("slices", {}).items()]
    if rubric := metrics.get("rubric"):
        texts = [f"{name.replace('_', ' ')}: {text}" for name, text in rubric["criteria"].items()]
        parts.append(score_table("Rubric", rubric, [*texts, *rubric_lines(rubric)]))
    return parts + [score_table(f"Also: {name}", part, part.get("notes", [])) for name, part in metrics.get("also", {}).items()]


def pair_tables(blimp: Blimp) -> dict[str, Any]:
    """Return the minimal pairs in a sentence, and the tables of their mean and of each file."""
    counts = sorted({*blimp["pairs"].values()})
    each = f"{counts[0]:,}" + (f" to {counts[-1]:,}" if len(counts) > 1 else "") if counts else "0"
    return {
        "line": pairs_line(blimp),
        "mean": score_table("Minimal pairs", blimp["mean"], []),
        "files": score_table("Minimal pairs by file", blimp["files"], [f"{each} pairs in each file."]),
    }


def score_table(name: str, scores: Mapping[str, Any], notes: list[str]) -> dict[str, Any]:
    """Return a table of metrics, with the drawing of each and the notes below it."""
    columns = columns_of(scores)
    plots = {metric: interval_plot((model, scores["models"][model].get(metric)) for model in columns) for metric in scores["metrics"]}
    return {"name": name, "scores": scores, "notes": [*footnotes(scores), *notes], "verdicts": verdicts(scores), "columns": columns,
            "change": change_title(scores), "plots": plots}  # fmt: skip


def charts(lines: list[dict[str, Any]]) -> dict[str, str]:
    """Return title -> SVG for each curve that has points."""

    def series(name: str, key: str) -> Series:
        return Series(name, [(line["step"], line[key]) for line in lines if isinstance(line.get(key), int | float)])

    drawn = {
        "Loss": line_chart("Loss", [series("training", "loss"), series("validation", "eval_loss")], "step"),
        "Validation scores": line_chart("Scores", [series("macro-F1", "eval_macro_f1"), series("accuracy", "eval_accuracy")], "step"),
        "Learning rate": line_chart("Learning rate", [series("learning rate", "learning_rate")], "step"),
        "Speed": line_chart("Speed", [series("tokens per second", "tokens_per_s")], "step"),
    }
    return {title: svg for title, svg in drawn.items() if svg}


def loss_facts(losses: Losses, loaded: LoadedRecipe | None) -> list[str]:
    """Return the losses that `recipe runs` and gates use, and for quantised training what they were measured on."""
    described = {"train_loss": "mean of the last epoch", "validation_loss": "of the weights that were kept"}
    known = [(key, value, what) for key, what in described.items() if (value := losses.get(key)) is not None]
    facts = [f"{key.replace('_', ' ')} {loss_text(value)} ({what})" for key, value, what in known]
    training = loaded.recipe.training if loaded else None
    if facts and training and training.weight_bits:
        facts.append(f"both with the base model in {training.weight_bits} bits")
    return facts


def cost(lines: list[dict[str, Any]], memory: PeakMemory | None, timing: Timing | None) -> list[str]:
    """Return what the training cost, in words: time and memory with their predictions, and median tokens per second."""
    speeds = sorted(line["tokens_per_s"] for line in lines if isinstance(line.get("tokens_per_s"), int | float))
    parts = [f"{speeds[len(speeds) // 2]:,.0f} tokens per second (median over {counted(len(speeds), 'logged step')})"] if speeds else []
    parts += [measured_line(timing)] if timing else []
    return [*parts, peak_text(memory)] if memory else parts


def row_facts(run: RunFolder, metrics: Metrics) -> dict[str, Any]:
    """Return the rows that the page shows, and the metric that ranks them. Raises UserError if a row is missing."""
    predictions = read_lines(run / EVALUATION / PREDICTIONS, "model", "id")
    rows = {row["id"]: row for row in read_lines(run / EVALUATION / ROWS, "id")}
    if missing := [line["id"] for line in predictions if line["id"] not in rows]:
        what = f"is damaged: no row {missing[0]!r}, which was evaluated"
        raise UserError(Problem(run / EVALUATION / ROWS, what, f"recipe eval {run.path}", "damaged"))
    if "by_label" in metrics:
        right, wrong = classified_rows(predictions, rows)
        return {"right": right, "wrong": wrong}
    name = ranking_metric(metrics)
    if name is None or metrics["baseline"] != BASE:
        return {}
    by_id: dict[str, dict[str, Any]] = {}
    for line in predictions:
        by_id.setdefault(line["id"], {})[line["model"]] = line
    cases = read_predictions(run / EVALUATION / PREDICTIONS)
    if not {BASE, TUNED} <= set(cases):
        return {}
    best, worst = extremes(gains(name, cases))
    return {"metric": name, "best": shown_rows(best, rows, by_id), "worst": shown_rows(worst, rows, by_id)}


def stored_recipe(run: RunFolder) -> LoadedRecipe | None:
    """Return the recipe that was run; None if this version's schema rejects it. Raises UserError if it was edited."""
    path = run.recipe_file
    try:
        return load_recipe(path)
    except UserError:
        return None


def recipe_values(loaded: LoadedRecipe | None, origins: dict[str, str]) -> list[tuple[str, str, str]]:
    """Return (key, value, origin) of every effective key; the origin is the location in the recipe, or the --set."""
    found = effective_values(loaded) if loaded else {}
    return [(dotted(path), one_line(value.value), origins.get(dotted(path), "")) for path, value in found.items()]
