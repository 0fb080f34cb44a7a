"""A run at work: which of its stages must be done, and which were done before or in another run."""

from pathlib import Path
from typing import NamedTuple

from ...converters.building.verify import verify_folder
from ...schemas.recipe import LoadedRecipe
from ..runtime.console import Display
from ..runtime.run_folder import RunFolder
from . import cache_keys


class RunContext(NamedTuple):
    """A run with its recipe. `previous` are the recipe's earlier runs; `done` says of each stage how it came to be done."""

    run: RunFolder
    loaded: LoadedRecipe
    root: Path
    display: Display
    previous: list[RunFolder]
    done: dict[str, str]

    def begin(self, stage: str, key: str) -> bool:
        """Whether the stage must be done; links an earlier run's outputs when they have the same key."""
        if self.run.status["stages"].get(stage) == key and self.outputs_are_intact(self.run, stage):
            self.done[stage] = "done before"
            return False
        if (source := cache_keys.finished(self.previous, stage, key)) and self.outputs_are_intact(source, stage):
            cache_keys.reuse(source, self.run, stage)
            self.display.say(stage, f"unchanged since {source.path.name}: reused")
            self.complete(stage, key)
            self.done[stage] = "reused"
            return False
        self.done[stage] = "done"
        return True

    def outputs_are_intact(self, run: RunFolder, stage: str) -> bool:
        """Whether the data are still what was written, byte for byte; where they are not, the stage is done again."""
        problems = verify_folder(run / "data") if stage == "data" else []
        for problem in problems:
            self.display.say(stage, f"{problem}: not used", "yellow")
        return not problems

    def complete(self, stage: str, key: str) -> None:
        """Note that the stage's outputs are all there."""
        self.run.update(stages=self.run.status["stages"] | {stage: key})
