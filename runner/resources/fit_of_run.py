"""A run's check before training: does memory hold it, does the disk."""

from ...converters.building.pipeline import MANIFEST
from ...schemas.sections import Recipe
from ..launch.steps import optimizer_steps
from ..models.public_models import public_models
from ..models.resolve import ResolvedModel
from ..models.size import model_size
from ..runtime.console import Display
from ..runtime.machine import this_machine
from ..runtime.run_folder import RunFolder
from .fit import fit, in_words, require, size_text, warnings


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
