"""The probes of a recipe (logit lens, BLiMP, sentiment of the replies, sample prompts), with their keys and files."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from ...converters.building.training_form import TrainingForm
from ...schemas.base.hashing import key_of, with_contents
from ...schemas.sample_prompts import sample_texts
from ...schemas.sections import Evaluation, Model, Recipe
from ..models.resolve import resolve_model
from ..runtime.probe_results import ReplyEmotions, RightPairs
from ..runtime.run_files import EVALUATING, PromptAnswers, RunFile
from ..runtime.run_folder import RUNS, RunFolder
from . import blimp
from .minimal_pairs import minimal_pair_scores
from .sentiment import emotion_prompts, sentiment_scores


def _as_it_is(value: Any) -> Any:
    return value


class Probe(NamedTuple):
    """A probe of the evaluation section: its name in metrics.json, its file, what identifies its value in cache keys, and what the worker
    gets.

    `prepare` raises UserError for an unusable value.
    """

    result: str
    file: RunFile[Any]
    identity: Callable[[Any], Any] = with_contents
    prepare: Callable[[Any], Any] = _as_it_is


def _sentiment_identity(asked: dict[str, Any]) -> Any:
    return asked | {key: with_contents(asked[key]) for key in ("classifier", "path")}


def _sentiment(asked: dict[str, Any]) -> dict[str, Any]:
    """Return the classifier as a folder, and the prompts. Raises UserError for a file without prompts, or a model that cannot be found."""
    prompts = emotion_prompts(Path(asked["path"])) if asked["path"] else []
    return asked | {"classifier": resolve_model(Model(asked["classifier"]), RUNS).path, "prompts": prompts}


_OWN = ("base", "tuned")  # the user's prompts, and what the models make of them, are kept as they are
PROBES = {
    "logit_lens": Probe("lens", RunFile(f"{EVALUATING}/lens.json", dict[str, Any], _OWN)),
    "blimp": Probe("blimp", RunFile(f"{EVALUATING}/blimp.json", RightPairs), blimp.identity, blimp.prepare),
    "sentiment_model": Probe("sentiment", RunFile(f"{EVALUATING}/sentiment.json", ReplyEmotions), _sentiment_identity, _sentiment),
    "prompts": Probe("prompts", RunFile(f"{EVALUATING}/prompts.json", PromptAnswers, _OWN)),
}


def requested_probes(recipe: Recipe) -> dict[str, Any]:
    """Return the recipe's probes with their settings. The prompts of a classifier get the form of its training's rows.

    Raises UserError if the file of prompts is not valid, or if a prompt cannot get this form.
    """
    evaluation = recipe.evaluation
    asked = {name: value for name in PROBES if (value := getattr(evaluation, name))}
    kind, system = recipe.data.type, recipe.data.system_prompt
    if prompts := evaluation.prompts:
        generation = None if kind == "classification" else (prompts.generation or evaluation.generation)._asdict()
        texts = sample_texts(prompts)
        if kind == "classification":
            texts = [*map(TrainingForm.of(recipe.data).read, texts)]
        asked["prompts"] = {"texts": texts, "type": kind, "system": system, "generation": generation}
    if classifier := evaluation.sentiment_model:
        how = {"type": kind, "system": system, "generation": evaluation.generation._asdict()}
        asked["sentiment_model"] = {"classifier": classifier, "path": evaluation.sentiment_prompts, **how}
    return asked


def probe_inputs(asked: dict[str, Any]) -> dict[str, Any]:
    """Return what the worker gets for the probes. Raises UserError for unusable settings."""
    return {name: PROBES[name].prepare(value) for name, value in asked.items()}


def pending_probes(run: RunFolder, asked: dict[str, Any], predictions: str) -> dict[str, str]:
    """Return the probes that were not run on this model and these files with these settings, with their keys."""
    keys = {name: key_of("probe", name, PROBES[name].identity(value), predictions) for name, value in asked.items()}
    return {name: key for name, key in keys.items() if (run.find(PROBES[name].file) or {}).get("key") != key}


def probe_results(run: RunFolder, asked: dict[str, Any], evaluation: Evaluation) -> dict[str, Any]:
    """Return the results of the probes for metrics.json."""
    found = {PROBES[name].result: {key: value for key, value in run.read(PROBES[name].file).items() if key != "key"} for name in asked}
    how = evaluation.confidence, evaluation.generation.seed
    if "blimp" in found:
        right = found["blimp"]
        found["blimp"] = {"source": blimp.name_of(asked["blimp"]), **minimal_pair_scores(right["base"], right["tuned"], *how)}
    if "sentiment" in found:
        heard, path = found["sentiment"], asked["sentiment_model"]["path"]
        found["sentiment"] = {
            "classifier": asked["sentiment_model"]["classifier"], "prompts": path and Path(path).name,
            "rows_without_emotion": heard["rows_without_emotion"], **sentiment_scores(heard["base"], heard["tuned"], *how),
        }  # fmt: skip
    if "prompts" in found:
        found["prompts"] |= {key: asked["prompts"][key] for key in ("system", "generation")}
    return found
