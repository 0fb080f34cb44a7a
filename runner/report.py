"""report.html: one file that stands alone. Everything in it is read from the run directory; all text from data is escaped."""

from pathlib import Path
from typing import Any

from ..converters.publish import write_atomically
from ..schemas.errors import UserError
from .charts import Series, line_chart
from .metrics_table import LABELS, change_title, digits, number, verdict
from .progress import read_lines
from .run_folder import RunFolder
from .token_summary import token_summary

SAMPLES = 10


def write_report(run: RunFolder) -> Path:
    """Write the run's report.html from what the run has left; return its path."""
    page = environment().get_template("report.html.j2").render(report_facts(run))
    path = run / "report.html"
    write_atomically(path, page.encode())
    return path


def environment() -> Any:
    """Where the pages' templates are, with everything escaped that does not say otherwise."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("recipekit.runner", ".")
    found = Environment(loader=loader, autoescape=True, undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
    found.filters |= {"number": number}
    return found


def report_facts(run: RunFolder) -> dict[str, Any]:
    """What the page shows."""
    metrics = run.read("eval/metrics.json")
    if not metrics:
        raise UserError(f"{run.path} has not been evaluated: it is {run.status['state']}", hint=f"recipe resume {run.path}")
    predictions, rows = read_lines(run / "eval" / "predictions.jsonl"), read_lines(run / "eval" / "rows.jsonl")
    return {
        "name": run.status["recipe"],
        "run": run.path.name,
        "state": run.status["state"],
        "answer": answer(metrics),
        "manifest": run.read("data/manifest.json"),
        "token_lines": {split: token_summary(facts) for split, facts in run.read("tokens.json").items()},
        "metrics": metrics,
        "columns": [name for name in LABELS if metrics["models"].get(name)],
        "labels": LABELS,
        "change_title": change_title(metrics),
        "verdicts": {name: verdict(metrics["differences"][name], metrics["metrics"][name]["better"]) for name in metrics["metrics"]},
        "charts": charts(read_lines(run / "metrics.jsonl")),
        "samples": samples(predictions, rows),
        "mistakes": mistakes(predictions, rows),
        "recipe": (run / "recipe.yml").read_text(encoding="utf-8"),
        "lock": run.read("lock.json"),
        "reasons": [line for line in [run.status.get("reason")] if line],
    }


def answer(metrics: dict[str, Any]) -> str:
    """Did it work? One sentence, from the first metric that can be told from chance."""
    rows, split, against = metrics["rows"], metrics["split"], metrics["against"]
    other = "the base model" if against == "base" else LABELS[against]
    for name, facts in metrics["metrics"].items():
        change = metrics["differences"][name]
        if facts["better"] and change["distinguishable"]:
            base, tuned = (digits(metrics["models"][model][name]["value"]) for model in (against, "tuned"))
            word = "better" if (change["value"] > 0) == (facts["better"] == "higher") else "worse"
            unit = f" {facts['unit']}" if facts["unit"] else ""
            label = f"{name.replace('_', ' ')} is {word} than that of {other}"
            return f"On {rows} held-out rows the tuned model's {label}: {tuned}{unit} against {base}{unit}."
    return f"On {rows} {split} rows the tuned model cannot be told from {other}."


def charts(lines: list[dict[str, Any]]) -> dict[str, str]:
    """Title -> SVG for each curve that has points."""

    def series(name: str, key: str) -> Series:
        return Series(name, [(line["step"], line[key]) for line in lines if isinstance(line.get(key), int | float)])

    drawn = {
        "Loss": line_chart("Loss", [series("training", "loss"), series("validation", "eval_loss")], "step"),
        "Validation scores": line_chart("Scores", [series("macro-F1", "eval_macro_f1"), series("accuracy", "eval_accuracy")], "step"),
        "Learning rate": line_chart("Learning rate", [series("learning rate", "learning_rate")], "step"),
        "Speed": line_chart("Speed", [series("tokens per second", "tokens_per_s")], "step"),
    }
    return {title: svg for title, svg in drawn.items() if svg}


def samples(predictions: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The first SAMPLES rows: the question, the data's reply, and both models'."""
    by_id: dict[str, dict[str, Any]] = {}
    for line in predictions:
        by_id.setdefault(line["id"], {})[line["model"]] = line
    shown = []
    for row in rows[:SAMPLES]:
        found = by_id.get(row["id"], {})
        if {"base", "tuned"} <= set(found) and "messages" in row:
            shown.append({"id": row["id"], "prompt": row["messages"][-2]["content"], "reference": found["tuned"]["reference"], **found})
    return shown


def mistakes(predictions: list[dict[str, Any]], rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The SAMPLES rows that a classifier was surest of and wrong about, surest first."""
    texts = {row["id"]: row.get("text", "") for row in rows}
    wrong = [line for line in predictions if line["model"] == "tuned" and line.get("predicted", line.get("label")) != line.get("label")]
    found = [{**line, "probability": line["probabilities"][line["predicted"]], "text": texts[line["id"]]} for line in wrong]
    return sorted(found, key=lambda line: -line["probability"])[:SAMPLES]
