"""What a stage is, and the one loop over stages: found done, in this run or an earlier one, or run and recorded."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from ...schemas.base.errors import Location, Problem, UserError
from ..runtime.run_folder import RunFolder
from .context import RunContext


class Stage(Protocol):
    """A module of this folder. It leaves its OUTPUTS in the run's folder, and OPTIONAL_OUTPUTS where there are such.

    A run that has completed a FINAL stage keeps it, whatever has changed since: its data and its model are what the run is about.
    """

    @property
    def NAME(self) -> str: ...
    @property
    def OUTPUTS(self) -> tuple[str, ...]: ...
    @property
    def OPTIONAL_OUTPUTS(self) -> tuple[str, ...]: ...
    @property
    def FINAL(self) -> bool: ...

    def key(self, context: RunContext) -> str | None:
        """The hash of all that the outputs are made of; None for a stage that is always run."""
        ...

    def faults(self, run: RunFolder) -> list[str]:
        """Why outputs that are there cannot be used, a sentence each."""
        ...

    def run(self, context: RunContext) -> None:
        """Make the outputs in the run's folder."""
        ...


def key_of_stage(stage: Stage, context: RunContext) -> str | None:
    """The stage's key, computed when it is first asked for."""
    if stage.NAME not in context.keys and (key := stage.key(context)) is not None:
        context.keys[stage.NAME] = key
    return context.keys.get(stage.NAME)


def find(stage: Stage, context: RunContext) -> RunFolder | None:
    """The run that has the stage's outputs as this recipe would make them now: this one, or an earlier one with the same key."""
    for run in context.runs:
        recorded = run.stages.get(stage.NAME)
        if recorded is None or not all((run / name).exists() for name in stage.OUTPUTS):
            continue
        final = stage.FINAL and context.is_own(run)
        if not final and recorded != key_of_stage(stage, context):
            continue
        if faults := stage.faults(run):
            for fault in faults:
                context.display.say(stage.NAME, f"{fault}: not used", "yellow")
            continue
        context.keys[stage.NAME], context.found[stage.NAME] = recorded, run
        return run
    return None


def require(stages: Iterable[Stage], context: RunContext) -> None:
    """Find each stage's outputs. Raises UserError where they are not there, or cannot be used."""
    for stage in stages:
        if find(stage, context) is None:
            what = f"has no usable {' or '.join(stage.OUTPUTS)}: its stage {stage.NAME} is not complete"
            raise UserError(Problem(Location(str(context.run.path)), what, f"recipe resume {context.run.path}", "incomplete"))


def complete(stages: Iterable[Stage], context: RunContext) -> None:
    """Have each stage's outputs in the run's folder: those that are there, those of an earlier run, or new ones."""
    for stage in stages:
        source = find(stage, context)
        if source is None:
            stage.run(context)
            context.outcomes[stage.NAME] = "done"
        elif context.is_own(source):
            context.outcomes[stage.NAME] = "done before"
            continue
        else:
            reuse(source, context.run, stage)
            context.display.say(stage.NAME, f"unchanged since {source.path.name}: reused")
            context.outcomes[stage.NAME] = "reused"
        context.found[stage.NAME] = context.run
        if key := key_of_stage(stage, context):
            context.run.update(stages=context.run.stages | {stage.NAME: key})


def finished_run(stages: Iterable[Stage], context: RunContext) -> RunFolder | None:
    """The finished run in which every stage is what it would be now: the loop above, without running anything."""
    for stage in stages:
        if find(stage, context) is None and key_of_stage(stage, context) is not None:
            return None
    # Subset: an adapter that was merged afterwards is no other run.
    return next((run for run in context.previous if run.is_done and context.keys.items() <= run.stages.items()), None)


def reuse(source: RunFolder, target: RunFolder, stage: Stage) -> None:
    """Give the target run the stage's outputs: folders as links, single files as copies.

    Those are small, and a training writes into them, so that a link would change the source run too.
    """
    for name in (*stage.OUTPUTS, *stage.OPTIONAL_OUTPUTS):
        if (source / name).is_dir():
            link_folder(source / name, target / name)
        elif (source / name).is_file():
            shutil.copy2(source / name, target / name)


def link_folder(source: Path, target: Path) -> None:
    """Put the folder in the target's place, as hard links, which cost no space, or copies where the file system has none."""
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(source, target, copy_function=_link)


def _link(source: str, target: str) -> None:
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)
