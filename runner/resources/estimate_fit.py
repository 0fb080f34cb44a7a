"""Estimate a recipe's model size, memory and disk on a given machine, without training."""

from pathlib import Path
from typing import Any

from ...schemas.recipe import load_recipe
from ...schemas.sections import Recipe
from ..launch.engines import unstartable
from ..launch.kernels import kernels
from ..launch.steps import optimizer_steps
from ..models.architecture import architecture, architecture_of
from ..models.resolve import ResolvedModel, known_config_of
from ..models.size import ModelSize, model_size, size_of_config
from ..runtime.console import Display
from ..runtime.machine import Machine, this_machine
from ..runtime.run_files import MANIFEST, PEAK_MEMORY, TRAIN_ROWS
from ..runtime.run_folder import RunFolder
from .fit import Fit, fit, needs_line, peak_text, problems, require, warnings
from .row_lengths import forward_pass_of

GPU = Machine("cuda", 1, "a GPU with bf16", 0, True)


def size_of(recipe: Recipe) -> ModelSize | None:
    """Return the size of the base model; for `run:OTHER`, that of the other recipe's. None if it is unknown."""
    return size_of_config(known_config_of(recipe.model))


def estimate_fit(
    recipe: Recipe, machine: Machine, folder: Path, labels: int = 0, steps: int | None = None, records: Path | None = None
) -> Fit | None:
    """Estimate what the training needs on this machine; None if the model's size is unknown.

    `records` is the file of its rows; without it, every row has `sequence_len` tokens, and a classifier whose labels are unknown has two.
    """
    size = size_of(recipe)
    labels = labels or len(recipe.data.labels or ()) or (2 if recipe.data.type == "classification" else 0)
    rows = forward_pass_of(recipe, machine, records, recipe.model.base_model, architecture_of(recipe.model))
    return fit(recipe, size, machine, folder, labels, steps, rows) if size else None


def needs_of(name: str, machine: Machine, environment: dict[str, Any]) -> dict[str, Any]:
    """Return what a recipe needs on this machine, which has this environment, and on a GPU; `problems` lists what prevents its training."""
    recipe = load_recipe(name).recipe
    size, here = size_of(recipe), estimate_fit(recipe, machine, Path())
    on_gpu = estimate_fit(recipe, GPU, Path()) if machine.is_cpu else here
    faults = [f"launch.{key}: {what}" for key, what, _ in unstartable(recipe.launch, machine)]
    faults += [problem.what for problem in problems(here, full_rows=False)] if here else []
    capability = environment["gpus"][0]["capability"] if environment["gpus"] else 0
    used = kernels(recipe, machine, environment["kernels"], capability, architecture_of(recipe.model))
    faults += [f"{kernel.part}: {kernel.used} {kernel.why}" for kernel in used if kernel.problem]
    return {
        "kernels": [kernel._asdict() for kernel in used],
        "recipe": recipe.name, "base_model": recipe.model.base_model, "adapter": recipe.training.adapter,
        "parameters": size.parameters if size else None, "tokens": recipe.training.sequence_len,
        "memory": here.memory_needed if here else None, "memory_on_gpu": on_gpu.memory_needed if on_gpu else None,
        "disk": here.disk_needed if here else None, "problems": faults, "warnings": warnings(here) if here else [],
    }  # fmt: skip


def check_fit(run: RunFolder, recipe: Recipe, model: ResolvedModel, rows: int, display: Display) -> None:
    """Raise UserError for a training that cannot fit, before anything is loaded; warn if it is tight."""
    size = model_size(model.path, recipe.model.revision)
    if size is None:
        display.say("", f"memory and disk are not estimated: the size of {model.path} is not known", "warning")
        return
    labels = len(run.read(MANIFEST).get("labels", ()))
    steps = None if recipe.data.type == "text" else optimizer_steps(recipe, rows)
    machine, known = this_machine(), architecture(model.path, recipe.model.revision)
    forward_pass = forward_pass_of(recipe, machine, run / TRAIN_ROWS, model.path, known)
    found = fit(recipe, size, machine, run.path, labels, steps, forward_pass)
    require(found, full_rows=recipe.data.type == "text" and recipe.training.sample_packing)
    display.say("", f"needs {needs_line(found)}")
    for line in warnings(found):
        display.say("", line, "warning")


def print_memory(run: RunFolder, display: Display) -> None:
    """Print the measured peak memory and the prediction, if it was measured."""
    if facts := run.find(PEAK_MEMORY):
        display.say("", peak_text(facts))
