"""What a recipe will take, computed without training: its model's size, the effective batch, memory and disk on a given machine."""

from pathlib import Path
from typing import Any

from ...converters.building.pipeline import MANIFEST
from ...schemas.base.errors import UserError
from ...schemas.model_rules import EMBEDDED
from ...schemas.recipe import load_recipe
from ...schemas.sections import Recipe
from ..launch.steps import optimizer_steps
from ..models.resolve import ResolvedModel, embedded_folder
from ..models.size import ModelSize, model_size, public_models
from ..runtime.console import Display
from ..runtime.machine import Machine, this_machine
from ..runtime.run_folder import RunFolder
from .fit import Fit, fit, in_words, require, size_text, warnings

# The embedded model's configuration, for before it is unpacked.
SMOLLM2 = {"model_type": "llama", "hidden_size": 576, "intermediate_size": 1536, "num_hidden_layers": 30, "num_attention_heads": 9,
           "num_key_value_heads": 3, "vocab_size": 49152, "tie_word_embeddings": True}  # fmt: skip
GPU = Machine("cuda", 1, "a GPU with bf16", 0, True)


def size_of(recipe: Recipe) -> ModelSize | None:
    """The recipe's base model; of `run:OTHER` that of the other recipe's, since training changes no shape. None where nobody knows."""
    name = recipe.model.base_model
    if name == EMBEDDED:
        return model_size(str(embedded_folder())) or model_size(EMBEDDED, public={EMBEDDED: {"config": SMOLLM2}})
    if name.startswith("run:"):
        try:
            return size_of(load_recipe(name.removeprefix("run:")).recipe)
        except UserError:
            return None
    return model_size(name, recipe.model.revision, public_models())


def estimate_fit(recipe: Recipe, machine: Machine, folder: Path, labels: int = 0, steps: int | None = None) -> Fit | None:
    """What its training needs on this machine; None where the model's size is not known."""
    size = size_of(recipe)
    return fit(recipe, size, machine, folder, labels or len(recipe.data.labels or ()), steps) if size else None


def batch(recipe: Recipe) -> dict[str, Any]:
    """Rows of an optimizer step, and what they are the product of."""
    training, processes = recipe.training, recipe.launch.num_processes * recipe.launch.num_nodes
    facts = {"micro_batch_size": training.micro_batch_size, "gradient_accumulation_steps": training.gradient_accumulation_steps,
             "processes": processes}  # fmt: skip
    return facts | {"rows": training.micro_batch_size * training.gradient_accumulation_steps * processes}


def check_fit(run: RunFolder, recipe: Recipe, model: ResolvedModel, rows: int, display: Display) -> None:
    """Refuse before anything is loaded what memory or disk cannot hold; warn of what comes close."""
    size = model_size(model.path, recipe.model.revision, public_models())
    if size is None:
        display.say("", f"memory and disk are not predicted: the sizes of {model.path} are not known before it is here", "yellow")
        return
    labels = len(run.read(f"data/{MANIFEST}").get("labels", ()))
    steps = None if recipe.data.type == "text" else optimizer_steps(recipe, rows)
    found = fit(recipe, size, this_machine(), run.path, labels, steps)
    require(found, full_rows=recipe.data.type == "text" and recipe.training.sample_packing)
    display.say("", f"needs {in_words(found)}")
    for line in warnings(found):
        display.say("", line, "yellow")


def say_memory(run: RunFolder, display: Display) -> None:
    """The peak that was measured beside the one that was predicted for rows as long as they were; nothing where none was measured."""
    if facts := run.read("memory.json"):
        predicted = facts.get("predicted")
        beside = f", {size_text(predicted['needed'])} were predicted for rows of {predicted['tokens']:,} tokens" if predicted else ""
        display.say("", f"peak memory {size_text(facts['peak'])}{beside}")
