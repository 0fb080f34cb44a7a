"""The probes that a recipe asks for (logit lens, BLiMP, sentiment of the replies, sample prompts), their keys and their files."""

from typing import Any

from ...schemas.base.hashing import key_of, with_contents
from ...schemas.sample_prompts import sample_texts
from ...schemas.sections import Recipe
from ..runtime.run_files import EVALUATING, PromptAnswers, RunFile
from ..runtime.run_folder import RunFolder

FILES: dict[str, RunFile[Any]] = {
    "logit_lens": RunFile(f"{EVALUATING}/lens.json", dict[str, Any]),
    "blimp": RunFile(f"{EVALUATING}/blimp.json", dict[str, Any]),
    "sentiment_model": RunFile(f"{EVALUATING}/sentiment.json", dict[str, Any]),
    "prompts": RunFile(f"{EVALUATING}/prompts.json", PromptAnswers),
}


def asked_for(recipe: Recipe) -> dict[str, Any]:
    """The probes that the recipe asks for, with what they need. Raises UserError where the file of prompts is not valid."""
    evaluation = recipe.evaluation
    asked = {name: value for name in FILES if (value := getattr(evaluation, name))}
    if prompts := evaluation.prompts:
        generation = None if recipe.data.type == "classification" else (prompts.generation or evaluation.generation)._asdict()
        texts, kind = sample_texts(prompts), recipe.data.type
        asked["prompts"] = {"texts": texts, "type": kind, "system": recipe.data.system_prompt, "generation": generation}
    return asked


def waiting(run: RunFolder, asked: dict[str, Any], predictions: str) -> dict[str, str]:
    """The probes that have not been done on this model in this way, on these files, with their keys."""
    keys = {name: key_of("probe", name, with_contents(value), predictions) for name, value in asked.items()}
    return {name: key for name, key in keys.items() if (run.find(FILES[name]) or {}).get("key") != key}


def results(run: RunFolder, asked: dict[str, Any]) -> dict[str, Any]:
    """What the probes found, as metrics.json has it."""
    names = {"logit_lens": "lens", "blimp": "blimp", "sentiment_model": "sentiment", "prompts": "prompts"}
    found = {names[name]: {key: value for key, value in run.read(FILES[name]).items() if key != "key"} for name in asked}
    if "prompts" in found:
        found["prompts"] |= {key: asked["prompts"][key] for key in ("system", "generation")}
    return found
