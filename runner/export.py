"""What is made of the trained weights when the training is done."""

import sys

from ..schemas.sections import Recipe
from .child import run_child
from .display import Display
from .models.model_source import ResolvedModel
from .run_folder import RunFolder


def merge(run: RunFolder, recipe: Recipe, model: ResolvedModel, env: dict[str, str], display: Display) -> None:
    """The adapter in its base model, as merged/; merging.py does it in a process of its own."""
    run.write(
        "merge.json", {"base_model": model.path, "revision": recipe.model.revision, "trust_remote_code": recipe.model.trust_remote_code}
    )
    run_child((sys.executable, "-m", "recipekit.runner.merging"), run.path, env, "merge.log", "merging", display.event)
    facts = run.read("merged/merge.json")
    display.say("merge", f"merged/ in {facts['dtype']}, logits within {facts['largest_difference']:.1g} of base and adapter")
