"""Write model/README.md: a model card from the run's facts, with its metrics in the metadata that the Hugging Face Hub reads.

The card claims nothing that the run does not know: for an unknown licence of the base model, it gives `other` and says so.
"""

import json
from pathlib import Path
from typing import Any

from ...schemas.base.counted import counted
from ...schemas.base.files import write_atomically
from ...schemas.sections import Recipe
from ..runtime.run_files import LOCK, MANIFEST, METRICS
from ..runtime.run_folder import RunFolder
from .sample_prompts import answered_prompts, sampling
from .templates import environment
from .verdicts import answer, columns_of, metric_name, pairs_line, verdicts

TASKS = {"chat": "text-generation", "text": "text-generation", "classification": "text-classification"}
# Licences by the start of the base model's name, for models whose folder has none, as identifiers of the hub.
LICENCES = {
    "HuggingFaceTB/SmolLM2": "apache-2.0", "Qwen/Qwen2": "apache-2.0", "embedded:smollm2": "apache-2.0", "internlm/internlm2": "apache-2.0",
    "meta-llama/Llama-2": "llama2", "meta-llama/Llama-3.1": "llama3.1", "meta-llama/Llama-3.2": "llama3.2",
    "meta-llama/Meta-Llama-3-": "llama3", "openai-community/gpt2": "mit",
}  # fmt: skip


def write_card(run: RunFolder, recipe: Recipe, merged: bool = False) -> Path:
    """Write model/README.md, or merged/README.md; return its path."""
    path = run / ("merged" if merged else "model") / "README.md"
    write_atomically(path, model_card(run, recipe, merged).encode())
    return path


def write_cards(run: RunFolder, recipe: Recipe) -> None:
    """Write the card of each model folder that the run has."""
    for merged, folder in ((False, "model"), (True, "merged")):
        if (run / folder).is_dir():
            write_card(run, recipe, merged)


def model_card(run: RunFolder, recipe: Recipe, merged: bool = False) -> str:
    """Return the card's text: YAML metadata, then what a reader must know. `merged`: the adapter is merged into the base's weights."""
    from huggingface_hub import EvalResult, ModelCardData

    metrics, lock, base = run.find(METRICS), run.find(LOCK), hub_name(recipe.model.base_model)
    licence = licence_of(recipe.model.base_model, lock["model"]["path"] if lock else None)
    task, models = TASKS[recipe.data.type], metrics["models"] if metrics else {}
    measured = {name: found for name, found in models.get("tuned", {}).items() if found["value"] is not None}
    rows = f"{recipe.name}, {metrics['split']} split of {counted(metrics['rows'], 'row')}" if metrics else ""
    results = [
        EvalResult(task_type=task, dataset_type="private", dataset_name=rows,
                   metric_type=name, metric_value=found["value"], metric_name=metric_name(name))
        for name, found in measured.items()
    ]  # fmt: skip
    adapter = recipe.training.adapter != "none" and not merged
    data = ModelCardData(
        license=licence or "other", license_name=None if licence else "that-of-the-base-model", base_model=base,
        base_model_relation="adapter" if adapter else "finetune", library_name="peft" if adapter else "transformers",
        pipeline_tag=task, tags=["recipekit", "axolotl", recipe.data.type], model_name=recipe.name,
        eval_results=results or None, ignore_metadata_errors=False,
    )  # fmt: skip
    templates = environment(of_pages=False)
    templates.filters["cell"] = cell
    columns = columns_of({"models": models})
    body = templates.get_template("model_card.md.j2").render(
        recipe=recipe, metrics=metrics, columns=columns, manifest=run.find(MANIFEST), lock=lock,
        licence=licence, base=base, answer=answer(metrics, run.find(MANIFEST)) if metrics else "",
        verdicts=verdicts(metrics) if metrics else {},
        pairs=pairs_line(metrics["blimp"]) if metrics and "blimp" in metrics else "",
        smoke=run.is_smoke, merged=merged, samples=answered_prompts(metrics) if metrics else [],
        sampling=sampling(metrics) if metrics and metrics.get("prompts") else "",
    )  # fmt: skip
    return f"---\n{data.to_yaml()}\n---\n\n{body}"


def hub_name(base_model: str) -> str | None:
    """Return the base model's name on the hub; None for a folder, another run's model, or a model that is not on the hub."""
    if base_model.startswith("embedded:"):
        return "HuggingFaceTB/SmolLM2-135M-Instruct"
    is_name = base_model.count("/") == 1 and not base_model.startswith((".", "/", "~", "run:")) and not Path(base_model).is_dir()
    return base_model if is_name else None


def licence_of(base_model: str, path: str | None) -> str | None:
    """Return the base model's licence as an identifier of the hub: from the card in its folder, else from LICENCES; None if unknown."""
    card = Path(path, "README.md") if path else None
    if card and card.is_file():
        from huggingface_hub import ModelCard
        from yaml import YAMLError

        try:
            found = ModelCard(card.read_text(encoding="utf-8"), ignore_metadata_errors=True).data.to_dict().get("license")
        except (OSError, ValueError, YAMLError):  # somebody else's file: a damaged card names no licence
            found = None
        if isinstance(found, str):
            return found
    return next((licence for start, licence in LICENCES.items() if base_model.startswith(start)), None)


def cell(value: Any) -> str:
    """Return text from data for a Markdown table or line, without markup or line breaks."""
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return "".join(f"\\{c}" if c in r"\`*_{}[]<>#|!" else " " if c in "\r\n" else c for c in text)
