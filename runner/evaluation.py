"""The evaluation stage: choose the rows, let the evaluator run both models over them, score the predictions."""

import shutil
import sys
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson

from ..converters.publish import write_atomically
from ..schemas.sections import Recipe
from .child import run_child
from .display import Display
from .metrics import metric
from .model_source import ResolvedModel
from .progress import read_lines
from .run_folder import RunFolder
from .scoring import Training, read_cases, score
from .training_losses import diagnosis, kept_loss, losses


def evaluate(run: RunFolder, recipe: Recipe, model: ResolvedModel, env: dict[str, str], key: str, display: Display) -> None:
    """Write eval/predictions.jsonl and eval/metrics.json.

    Predictions that an interrupted evaluation left are kept when it had the same `key`, and thrown away when it had another.
    """
    if run.read("eval/request.json").get("key") != key:
        shutil.rmtree(run / "eval", ignore_errors=True)
    rows = chosen_rows(run / "data" / f"{recipe.evaluation_split}.jsonl", recipe.evaluation.max_rows, recipe.evaluation.generation.seed)
    write_atomically(run / "eval" / "rows.jsonl", b"".join(rows))
    request = {
        "key": key,
        "base_model": model.path,
        "revision": recipe.model.revision,
        "adapter": recipe.training.adapter != "none",
        "trust_remote_code": recipe.model.trust_remote_code,
        "generate": generates(recipe),
        "generation": recipe.evaluation.generation._asdict(),
    }
    run.write("eval/request.json", request)
    argv = (sys.executable, "-m", "recipekit.runner.evaluator")
    run_child(argv, run.path, env, "eval.log", "the evaluation", display.event)
    facts = {"split": recipe.evaluation_split, "base_model": recipe.model.base_model, "generation": request["generation"]}
    run.write("eval/metrics.json", scored(run, recipe, len(rows), facts))


def generates(recipe: Recipe) -> bool:
    """Whether replies must be generated: a metric is of replies, or replies are the labels that are counted."""
    evaluation = recipe.evaluation
    return recipe.data.type == "chat" and (bool(evaluation.labels) or any(metric(name).NEEDS_REPLY for name in evaluation.metrics))


def scored(run: RunFolder, recipe: Recipe, rows: int, facts: dict[str, Any]) -> dict[str, Any]:
    """The content of metrics.json, from predictions.jsonl and the training's own numbers: no model is needed."""
    lines = read_lines(run / "metrics.jsonl")
    kept = kept_loss(lines, recipe.training.load_best_model_at_end)
    training = Training(run / "data" / "train.jsonl", {**losses(lines), "validation_loss": kept})
    facts = {**facts, "losses": training.losses, "diagnosis": diagnosis(lines)._asdict()}
    predictions = run / "eval" / "predictions.jsonl"
    if recipe.data.type != "classification":
        return score(recipe.evaluation, read_cases(predictions, run / "eval" / "rows.jsonl"), facts, training)
    from .classification_scoring import read_classified, score_classified

    labels = run.read("data/manifest.json")["labels"]
    return score_classified(recipe.evaluation, read_classified(predictions, labels), labels, rows, facts)


def chosen_rows(path: Path, most: int | None, seed: int) -> list[bytes]:
    """The lines to evaluate: all, or a seeded choice that does not depend on their order."""
    lines = path.read_bytes().splitlines(keepends=True)
    if most is None or len(lines) <= most:
        return lines
    key = str(seed).encode()
    return sorted(lines, key=lambda line: blake2b(orjson.loads(line)["id"].encode(), key=key).digest())[:most]
