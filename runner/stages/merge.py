"""The merge stage: merges the adapter into its base model, and checks that the result answers like both."""

import sys
from pathlib import Path

from ...schemas import VERSION
from ...schemas.base.files import new_folder, write_atomically
from ...schemas.base.hashing import SEAL, key_of
from ..launch.plan import CONFIG as RENDERED
from ..reporting.model_card import model_card
from ..runtime.child_process import run_child
from ..runtime.run_files import MERGE_REQUEST, MERGE_RESULT, MergeResult
from ..runtime.run_folder import RunFolder
from ..runtime.seals import unseal_files, write_seal
from .context import RunContext

NAME = "merge"
OUTPUTS = ("merged",)
OPTIONAL_OUTPUTS: tuple[str, ...] = ()
FINAL = False
MERGED, CONFIG = "merged", "rendered/merge.yml"


def key(context: RunContext) -> str:
    """Return a hash of the training: its adapter is merged into the base that it was trained on."""
    return key_of("merge", VERSION, context.keys["train"])


def faults(run: RunFolder) -> list[str]:
    """Return a fault if the folder has no seal: it was not written by a merge that verified its answers."""
    return [] if (run / MERGED / SEAL).is_file() else [f"{run / MERGED} has no {SEAL}"]


def run(context: RunContext) -> None:
    """Merge into the run's merged/."""
    merge(context, context.run / MERGED)


def merge(context: RunContext, out: Path) -> MergeResult:
    """Write the merged model to `out` in a separate process; return the content of merge.json.

    The configuration is rendered for this machine, which may differ from the one that trained.
    """
    run, job = context.run, context.job
    write_atomically(run / CONFIG, job.plan.files[RENDERED].encode())
    with new_folder(out.resolve(), MERGE_RESULT.name) as folder:
        run.write(MERGE_REQUEST, {"folder": str(folder), "config": CONFIG})
        argv = (sys.executable, "-m", "recipekit.runner.worker.merge")
        run_child(argv, run.path, job.plan.env, "merge.log", "merging", context.display.event)
        write_atomically(folder / "README.md", model_card(run, context.recipe, merged=True).encode())
        result = RunFolder(folder).read(MERGE_RESULT)
        write_seal(folder)
        if out == run / MERGED:
            unseal_files(run.path, OUTPUTS)
    where = f"{MERGED}/" if out == run / MERGED else str(out)
    context.display.say(NAME, f"{where} in {result['dtype']}, logits within {result['largest_difference']:.1g} of base and adapter")
    return result
