"""The evaluate stage: chooses the rows, runs both models over them in the evaluator, and scores the predictions."""

import sys
from pathlib import Path
from typing import Any, cast

import orjson

from ...schemas import VERSION
from ...schemas.base.counted import counted
from ...schemas.base.errors import UserError
from ...schemas.base.files import remove, replace_folder, sweep
from ...schemas.base.hashing import key_of, with_contents
from ...schemas.sections import Evaluation, Recipe
from ..evaluation.classification import read_classified, score_classified
from ..evaluation.diversity import diversity_by_part
from ..evaluation.evaluated_rows import split_rows
from ..evaluation.judge import judge_all
from ..evaluation.metrics import metric
from ..evaluation.probes import PROBES, pending_probes, probe_inputs, probe_results, requested_probes
from ..evaluation.rubric import judge_by_rubric, rubric_scores
from ..evaluation.scoring import Training, read_predictions, score
from ..evaluation.training_losses import diagnosis, kept_evaluation, kept_loss, losses, validation_scores
from ..launch.plan import Plan
from ..models.size import model_size
from ..resources.evaluation_memory import evaluated_bits
from ..runtime.child_process import run_child, stop_if_asked
from ..runtime.child_requests import EvaluationRequest
from ..runtime.console import Display
from ..runtime.line_sums import sums_of
from ..runtime.metrics_file import Metrics, SetMetrics
from ..runtime.progress import read_lines
from ..runtime.run_files import (
    EVALUATING,
    EVALUATION,
    EVALUATION_REQUEST,
    LAST_REQUEST,
    MANIFEST,
    METRICS,
    NEW_METRICS,
    PREDICTIONS,
    PROBES_REQUEST,
    ROWS,
    SETS,
    STEP_LOG,
    TRAIN_ROWS,
)
from ..runtime.run_folder import RunFolder
from ..runtime.seals import unseal_files, write_seal
from .context import RunContext
from .predictions import predict, predictions_key, reuse_predictions

NAME = "evaluate"
OUTPUTS = (EVALUATION,)
OPTIONAL_OUTPUTS: tuple[str, ...] = ()
FINAL = False


def key(context: RunContext) -> str:
    """Return a hash of everything that the metrics depend on."""
    return evaluate_key(context.recipe.evaluation, context.recipe.evaluation_split, context.keys["train"], context.keys.get(SETS, ""))


def evaluate_key(evaluation: Evaluation, split: str, train: str, sets: str) -> str:
    """Return a hash of the evaluation section, the files and folders that it names, the training, and the rows of further sets."""
    contents: dict[str, Any] = {"blimp": evaluation.blimp and PROBES["blimp"].identity(evaluation.blimp)}
    contents |= {name: with_contents(getattr(evaluation, name)) for name in ("sentiment_model", "sentiment_prompts")}
    contents["prompts"] = evaluation.prompts and (evaluation.prompts, with_contents(evaluation.prompts.path))
    contents["also"] = {name: found._replace(sources=())._asdict() for name, found in evaluation.also.items()}  # `sets` covers their bytes
    return key_of("evaluate", VERSION, evaluation._asdict() | contents, split, train, sets)


def faults(run: RunFolder) -> list[str]:
    """Return why the metrics do not match the run's state: an evaluation has replaced them and will record it, or was interrupted."""
    try:
        request = run.find(LAST_REQUEST)
    except UserError as error:
        return [str(error)]
    if request is not None and request.get("evaluation") == run.stages.get(NAME):
        return []
    return [f"eval/ was replaced by another evaluation, which {'is still at work' if run.is_in_use() else 'did not finish'}"]


def run(context: RunContext) -> None:
    """Write predictions.jsonl and metrics.json in evaluating/, which then replaces eval/: the old metrics stay until the new are complete.

    Predictions have a key: the training, the rows, and how replies are generated. An interrupted evaluation with the same key continues
    with its predictions; a complete one is only scored, which needs no model. The configuration is rendered for this machine, which may
    differ from the one that trained.

    Raises UserError if the split has no rows, or if the minimal pairs or the sample prompts are not valid.
    """
    run, display = context.run, context.display
    sweep(run / EVALUATING)
    recipe = with_earlier_metrics(run, context.recipe)
    own_key = context.keys[NAME] = context.keys.get(NAME) or key(context)
    bits = _bits(context)
    earlier = reuse_predictions(context, predictions_key(recipe, context.keys["train"], bits))
    rows = split_rows(run.path, recipe)
    if not rows:
        raise UserError(f"{run.path}: the {recipe.evaluation_split} split has no rows to evaluate on", hint="evaluate another split")
    probes = requested_probes(recipe)
    inputs = probe_inputs(probes)  # an unusable file is refused before a model is loaded
    request = predict(context, recipe, rows, earlier, bits)
    _run_probes(run, probes, inputs, context.job.plan, request, display)
    stop_if_asked(run.path)  # before judges are paid
    metrics = _scored(run, recipe, len(rows), _facts(context, recipe, probes, request))
    run.write(NEW_METRICS, metrics)
    _publish(run, {**request, "evaluation": own_key})
    display.say(NAME, what_was_evaluated(recipe, len(rows), metrics["rows"]))


def what_was_evaluated(recipe: Recipe, chosen: int, left: int) -> str:
    """Return in words which models were evaluated on how many rows: of those chosen, a recipe may drop the long ones."""
    compared = "baselines" if recipe.data.type == "classification" else "base"
    dropped = f"; {counted(chosen - left, 'row')} longer than sequence_len dropped" if left < chosen else ""
    return f"{counted(left, f'{recipe.evaluation_split} row')}, {compared} and tuned{dropped}"


def _facts(context: RunContext, recipe: Recipe, probes: dict[str, Any], request: EvaluationRequest) -> dict[str, Any]:
    """Return what metrics.json has besides the scores of predictions: how they were made, probes, and judgements."""
    run, display, evaluation = context.run, context.display, recipe.evaluation
    facts = {"split": recipe.evaluation_split, "base_model": recipe.model.base_model, "generation": request["generation"],
             "evaluated_with": {key: request.get(key) for key in ("packages", "machine", "bits")}}  # fmt: skip
    facts |= probe_results(run, probes, evaluation)
    if evaluation.judge:
        facts["judge"] = judge_all(run, evaluation.judge, evaluation.generation.seed, display)
    if rubric := evaluation.rubric:
        if judges := judge_by_rubric(run, rubric, evaluation.generation.seed, display):
            facts["rubric"] = rubric_scores(run, evaluation, rubric, recipe.evaluation_split, judges)
        else:
            display.say(NAME, f"{', '.join(rubric.criteria)}: not judged: evaluation.rubric.judges is empty")
    return facts


def _publish(run: RunFolder, request: EvaluationRequest) -> None:
    """Replace eval/ by the complete evaluation."""
    run.write(EVALUATION_REQUEST, request)
    write_seal(run / EVALUATING)
    unseal_files(run.path, OUTPUTS)
    replace_folder(run / EVALUATING, run / EVALUATION)
    for path in (run / EVALUATION).rglob(PREDICTIONS):
        remove(sums_of(path))  # only now: until eval/ is in place, they show which predictions are unchanged


def _bits(context: RunContext) -> int:
    """Return the bits of the base model in this evaluation, and print them if it is quantised."""
    training, machine = context.recipe.training, context.machine
    bits = evaluated_bits(training.weight_bits, model_size(context.model.path, context.recipe.model.revision), machine)
    if bits:
        context.display.say("", f"evaluated in {bits} bits, as trained: in 16 bits the model does not fit on {machine.gpu_name}", "yellow")
    return bits


def with_earlier_metrics(run: RunFolder, recipe: Recipe) -> Recipe:
    """Return the recipe with the metrics of earlier evaluations first: another evaluation adds to the report."""
    evaluation, metrics = recipe.evaluation, run.find(METRICS)
    met = {"labels": recipe.data.type == "classification" or bool(evaluation.labels), "judge": bool(evaluation.judge)}
    earlier = [name for name in (metrics["metrics"] if metrics else {}) if met.get(metric(name).needs or "", True)]
    return recipe._replace(evaluation=evaluation._replace(metrics=tuple(dict.fromkeys((*earlier, *evaluation.metrics)))))


def _run_probes(
    run: RunFolder, probes: dict[str, Any], inputs: dict[str, Any], plan: Plan, request: EvaluationRequest, display: Display
) -> None:
    """Run the probes that have not been run yet."""
    if keys := pending_probes(run, probes, request["key"]):
        run.write(PROBES_REQUEST, {**request, "keys": keys, "asked": inputs})
        argv = (sys.executable, "-m", "recipekit.runner.worker.probes")
        run_child(argv, run.path, plan.env, "probes.log", "a probe", display.event)


def _scored(run: RunFolder, recipe: Recipe, rows: int, facts: dict[str, Any]) -> Metrics:
    """Return the content of metrics.json, from predictions.jsonl and the training's own numbers; no model is needed."""
    lines = read_lines(run / STEP_LOG)
    best_by = recipe.training.metric_for_best_model if recipe.training.load_best_model_at_end else None
    training = Training(run / TRAIN_ROWS, {**losses(lines), "validation_loss": kept_loss(lines, best_by)})
    facts = {**facts, "losses": training.losses, "diagnosis": diagnosis(lines, of_texts=recipe.data.type == "text")._asdict()}
    bits = recipe.training.weight_bits
    if bits and not facts["evaluated_with"]["bits"] and (trained := validation_scores(kept_evaluation(lines, best_by))):
        facts["as_trained"] = {"bits": bits, "scores": trained}
    if recipe.evaluation.also:
        facts["also"] = {name: _scored_set(run, recipe.of_set(name), name) for name in recipe.evaluation.also}
    if recipe.data.type != "classification":
        with training.rows.open("rb") as rows_file:
            facts["diversity"] = diversity_by_part(map(orjson.loads, rows_file))
    return cast(Metrics, _numbers(run, recipe, run / EVALUATING, facts, training, rows))


def _scored_set(run: RunFolder, recipe: Recipe, name: str) -> SetMetrics:
    """Return the metrics of a further set, whose recipe this is."""
    folder = run / EVALUATING / SETS / name
    rows = len(read_lines(folder / ROWS))
    return cast(SetMetrics, _numbers(run, recipe, folder, {"split": name}, None, rows))


def _numbers(run: RunFolder, recipe: Recipe, folder: Path, facts: dict[str, Any], training: Training | None, rows: int) -> dict[str, Any]:
    """Return every metric of the folder's predictions, of a classifier or of base and tuned model."""
    predictions = folder / PREDICTIONS
    if recipe.data.type != "classification":
        return score(recipe.evaluation, read_predictions(predictions), facts, training)
    labels = run.read(MANIFEST).get("labels", [])
    return score_classified(recipe.evaluation, read_classified(predictions, labels), labels, rows, facts)
