"""Measure the rate of a training from two steps on this machine."""

from pathlib import Path
from typing import Any, NamedTuple

from ...schemas.base.counted import counted
from ...schemas.recipe import LoadedRecipe
from ..resources.training_time import Rate, tokens_in_epoch
from ..runtime.progress import read_lines
from ..runtime.run_files import TOKENS
from ..runtime.run_folder import RunFolder
from .resume_check import prepare

STEPS = 2
MOST_SECONDS = 60  # including imports and loading the model
LOGGED = "training.logging_steps=1"  # the setting for a probe


class Probe(NamedTuple):
    """The rate of the newest step, None if none was completed in time; the number of steps of the whole training."""

    rate: Rate | None
    steps: int | None


def probe(loaded: LoadedRecipe, root: Path, folder: Path) -> Probe:
    """Train in `folder` until a step beyond STEPS ends, or for MOST_SECONDS, then kill the trainer. Raises UserError if training fails."""
    planned: list[int] = []

    def follow(event: dict[str, Any]) -> None:
        if event["event"] == "train":
            planned.append(event["steps"])

    trial = prepare(loaded, root, folder, follow)
    trial.train(kill_at=STEPS + 1, kill_after=MOST_SECONDS)
    steps = [line for line in read_lines(folder / "metrics.jsonl") if "tokens_per_s" in line]
    if not steps:
        return Probe(None, planned[0] if planned else None)
    tokens = tokens_in_epoch(RunFolder(folder).read(TOKENS))
    size = (folder / "data" / "train.jsonl").stat().st_size
    # the first step of a process is slower than the others
    return Probe(Rate(steps[-1]["tokens_per_s"], tokens / size, f"a probe of {counted(len(steps), 'step')}"), planned[0])
