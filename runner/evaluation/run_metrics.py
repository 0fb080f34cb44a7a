"""The metrics of a run: those of its predictions, with the training's own numbers and those of further sets."""

from pathlib import Path
from typing import Any, cast

import orjson

from ...schemas.sections import Recipe
from ..runtime.metrics_file import Metrics, SetMetrics
from ..runtime.progress import read_lines
from ..runtime.run_files import EVALUATING, MANIFEST, SETS
from ..runtime.run_folder import RunFolder
from .diversity import diversity_by_part
from .scoring import Training, read_predictions, score
from .training_losses import diagnosis, kept_evaluation, kept_loss, losses, validation_scores


def scored(run: RunFolder, recipe: Recipe, rows: int, facts: dict[str, Any]) -> Metrics:
    """Return the content of metrics.json, from predictions.jsonl and the training's own numbers; no model is needed."""
    lines = read_lines(run / "metrics.jsonl")
    best_by = recipe.training.metric_for_best_model if recipe.training.load_best_model_at_end else None
    training = Training(run / "data" / "train.jsonl", {**losses(lines), "validation_loss": kept_loss(lines, best_by)})
    facts = {**facts, "losses": training.losses, "diagnosis": diagnosis(lines)._asdict()}
    if (bits := recipe.training.weight_bits) and (trained := validation_scores(kept_evaluation(lines, best_by))):
        facts["as_trained"] = {"bits": bits, "scores": trained}
    if recipe.evaluation.also:
        facts["also"] = {name: scored_set(run, recipe.of_set(name), name) for name in recipe.evaluation.also}
    if recipe.data.type != "classification":
        with training.rows.open("rb") as rows_file:
            facts["diversity"] = diversity_by_part(map(orjson.loads, rows_file))
    return cast(Metrics, _numbers(run, recipe, run / EVALUATING, facts, training, rows))


def scored_set(run: RunFolder, recipe: Recipe, name: str) -> SetMetrics:
    """Return the metrics of a further set, whose recipe this is."""
    folder = run / EVALUATING / SETS / name
    rows = len(read_lines(folder / "rows.jsonl"))
    return cast(SetMetrics, _numbers(run, recipe, folder, {"split": name}, None, rows))


def _numbers(run: RunFolder, recipe: Recipe, folder: Path, facts: dict[str, Any], training: Training | None, rows: int) -> dict[str, Any]:
    """Return every metric of the folder's predictions, of a classifier or of base and tuned model."""
    predictions = folder / "predictions.jsonl"
    if recipe.data.type != "classification":
        return score(recipe.evaluation, read_predictions(predictions, folder / "rows.jsonl"), facts, training)
    from .classification import read_classified, score_classified

    labels = run.read(MANIFEST).get("labels", [])
    return score_classified(recipe.evaluation, read_classified(predictions, labels), labels, rows, facts)
