"""What is made of the trained weights when the training is done."""

import sys
from pathlib import Path
from typing import Any

import orjson

from ...schemas.base.files import new_folder, write_atomically
from ..launch.plan import CONFIG as RENDERED
from ..launch.plan import TrainingJob
from ..reporting.model_card import model_card
from ..runtime.child_process import run_child
from . import cache_keys
from .stage import RunContext

MERGED, FACTS, CONFIG = "merged", "merge.json", "rendered/merge.yml"


def merge(work: RunContext, planned: TrainingJob, out: Path | None = None) -> dict[str, Any]:
    """The adapter in its base model, as the run's merged/ or as the folder `out`; merging.py does it in a process of its own.

    Returns what merge.json says. The configuration is rendered for this machine, which need not be the one that trained.
    """
    run, model = work.run, work.loaded.recipe.model
    key = cache_keys.merge_key(run.status["stages"]["train"])
    if out is None and not work.begin("merge", key):
        return run.read(f"{MERGED}/{FACTS}")
    write_atomically(run / CONFIG, planned.plan.files[RENDERED].encode())
    with new_folder((out or run / MERGED).resolve(), FACTS) as folder:
        request = {"base_model": planned.model.path, "revision": model.revision, "trust_remote_code": model.trust_remote_code}
        run.write(FACTS, {**request, "folder": str(folder), "config": CONFIG})
        argv = (sys.executable, "-m", "recipekit.runner.worker.merge")
        run_child(argv, run.path, planned.plan.env, "merge.log", "merging", work.display.event)
        write_merged_card(work, folder)
        facts = orjson.loads((folder / FACTS).read_bytes())
    where = f"{MERGED}/" if out is None else str(out)
    work.display.say("merge", f"{where} in {facts['dtype']}, logits within {facts['largest_difference']:.1g} of base and adapter")
    if out is None:
        work.complete("merge", key)
    return facts


def write_merged_card(work: RunContext, folder: Path) -> None:
    """The model card of the merged weights, with the numbers that the run has."""
    write_atomically(folder / "README.md", model_card(work.run, work.loaded.recipe, merged=True).encode())
