"""What a stage is, and the loop over stages: outputs are found in this run or an earlier one, or the stage is run and recorded."""

import shutil
from collections.abc import Iterable
from pathlib import Path
from typing import Protocol

from ...schemas.base.errors import Problem, UserError
from ...schemas.base.files import MANIFEST, remove, replacing_folder
from ...schemas.base.hashing import SEAL
from ..runtime.run_folder import RunFolder
from ..runtime.seals import seal_faults, seal_files, sealed_names, unseal_files
from .context import RunContext


class Stage(Protocol):
    """A module in this folder. It writes its OUTPUTS, and sometimes OPTIONAL_OUTPUTS, to the run's folder.

    A run that has completed a FINAL stage keeps its outputs, whatever has changed since: its data and its model define the run. The other
    stages may run again. They replace their outputs as a whole, and unseal the old ones only just before they do.
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
        """Return a hash of everything that the outputs depend on; None for a stage that is always run."""
        ...

    def faults(self, run: RunFolder) -> list[str]:
        """Return why existing outputs cannot be used, one sentence each."""
        ...

    def run(self, context: RunContext) -> None:
        """Write the outputs to the run's folder."""
        ...


def key_of_stage(stage: Stage, context: RunContext) -> str | None:
    """Return the stage's key, computed on first use."""
    if stage.NAME not in context.keys and (key := stage.key(context)) is not None:
        context.keys[stage.NAME] = key
    return context.keys.get(stage.NAME)


def find(stage: Stage, context: RunContext) -> RunFolder | None:
    """Return the run whose outputs can be used for this recipe: this run, or an earlier one, that completed the stage with the same key."""
    for run in context.runs:
        recorded = _recorded_key(stage, run, context)
        if recorded is None:
            continue
        is_kept = stage.FINAL and context.is_own(run)
        if not is_kept and recorded != key_of_stage(stage, context):
            continue
        if faults := output_faults(stage, run):
            for fault in faults:
                context.warn(stage.NAME, f"{fault}: not used")
            continue
        context.keys[stage.NAME], context.found[stage.NAME] = recorded, run
        return run
    return None


def _recorded_key(stage: Stage, run: RunFolder, context: RunContext) -> str | None:
    """Return the key with which the run has completed the stage. An earlier run with an unreadable state has completed none."""
    try:
        return run.stages.get(stage.NAME)
    except UserError as error:
        if context.is_own(run):
            raise
        context.warn(stage.NAME, f"{error}: not used")
        return None


def output_faults(stage: Stage, run: RunFolder) -> list[str]:
    """Return why the outputs cannot be used: what is missing, faults that the stage finds, and files that differ from their seal."""
    if missing := [name for name in stage.OUTPUTS if not (run / name).exists()]:
        return [f"{run / name} is missing" for name in missing]
    try:
        names = sealed_names(run.path, (*stage.OUTPUTS, *stage.OPTIONAL_OUTPUTS))
    except UserError as error:
        return [str(error)]
    found = [f"{run.path}: {fault}" for fault in seal_faults(run.path, names)]
    for name in stage.OUTPUTS:
        if (run / name / SEAL).exists():
            found += [f"{run / name}: {fault}" for fault in seal_faults(run / name)]
    return [*found, *stage.faults(run)]


def _single_files(stage: Stage, run: RunFolder) -> list[str]:
    """Return the files covered by the run's own seal: of a folder with a manifest or a seal only these, which cover its other files."""
    found: list[str] = []
    for name in (*stage.OUTPUTS, *stage.OPTIONAL_OUTPUTS):
        if own := [f"{name}/{file}" for file in (MANIFEST, SEAL) if (run / name / file).is_file()]:
            found += own
        elif (run / name).is_dir():
            found += [path.relative_to(run.path).as_posix() for path in sorted((run / name).rglob("*")) if path.is_file()]
        elif (run / name).is_file():
            found.append(name)
    return found


def require(stages: Iterable[Stage], context: RunContext) -> None:
    """Find each stage's outputs. Raises UserError if they are missing or unusable."""
    for stage in stages:
        if find(stage, context) is None:
            raise _unusable(stage, context.run)


def _unusable(stage: Stage, run: RunFolder) -> UserError:
    what = f"has no usable {' or '.join(stage.OUTPUTS)}: the stage {stage.NAME} is incomplete, or its files were changed"
    hint = f"restore the files, or start a new run; recipe verify {run.path}" if run.is_finished else f"recipe resume {run.path}"
    return UserError(Problem(run.path, what, hint, "incomplete"))


def complete(stages: Iterable[Stage], context: RunContext) -> None:
    """Put each stage's outputs into the run's folder: leave those that are there, or take those of an earlier run, or run the stage.

    Raises UserError if a finished run has lost its data or model: no command trains it again.
    """
    for stage in stages:
        context.outcomes[stage.NAME] = _complete(stage, context)


def _complete(stage: Stage, context: RunContext) -> str:
    """Complete one stage; return how: "done before", "reused" or "done". New outputs are sealed before the stage counts as complete."""
    run, source = context.run, find(stage, context)
    if source is not None and context.is_own(source):
        return "done before"
    if source is None and stage.FINAL and run.is_finished:
        raise _unusable(stage, run)
    # Good outputs of a stage that runs again stay sealed until it replaces them: they are the run's if it is killed before that.
    if stage.FINAL or source is not None or output_faults(stage, run):
        _remove_changed(stage, run)
        unseal_files(run.path, (*stage.OUTPUTS, *stage.OPTIONAL_OUTPUTS))
    if source is not None and _reuse_unchanged(source, stage, context):
        context.display.say(stage.NAME, f"unchanged since {source.path.name}: reused")
        outcome = "reused"
    else:
        stage.run(context)
        outcome = "done"
    context.found[stage.NAME] = run
    if key := key_of_stage(stage, context):
        seal_files(run.path, _single_files(stage, run))
        run.update(stages=run.stages | {stage.NAME: key})
    return outcome


def _remove_changed(stage: Stage, run: RunFolder) -> None:
    """Remove optional outputs that differ from their seal: the stage may not write them again, and what is there would be sealed."""
    for name in sealed_names(run.path, stage.OPTIONAL_OUTPUTS):
        if seal_faults(run.path, [name]):
            remove(run / name)


def _reuse_unchanged(source: RunFolder, stage: Stage, context: RunContext) -> bool:
    """Give the run the source's outputs. Return whether they can be used: they cannot if another process replaced them meanwhile, as an
    evaluation of that run does. Outputs of a FINAL stage are never replaced."""
    reuse(source, context.run, stage)
    if stage.FINAL or (source.stages.get(stage.NAME) == context.keys[stage.NAME] and not output_faults(stage, source)):
        return True
    context.display.say(stage.NAME, f"{source.path.name} was changed by another process: not used", "yellow")
    return False


def finished_run(stages: Iterable[Stage], context: RunContext) -> RunFolder | None:
    """Return the finished run whose stages all have the keys that they would have now; None if there is none. Nothing is run."""
    for stage in stages:
        if find(stage, context) is None and key_of_stage(stage, context) is not None:
            return None
    # Subset: a run whose adapter was merged afterwards is the same run.
    return next((run for run in context.previous if run.is_done and context.keys.items() <= run.stages.items()), None)


def reuse(source: RunFolder, target: RunFolder, stage: Stage) -> None:
    """Give the target run the stage's outputs: folders as links, single files as copies.

    Single files are small, and training writes to them: a link would change the source run too.
    """
    for name in (*stage.OUTPUTS, *stage.OPTIONAL_OUTPUTS):
        if (source / name).is_dir():
            link_folder(source / name, target / name)
        elif (source / name).is_file():
            shutil.copy2(source / name, target / name)


def link_folder(source: Path, target: Path) -> None:
    """Replace the target by the folder, as hard links, which need no space, or as copies if the file system has none."""
    with replacing_folder(target) as folder:
        shutil.copytree(source, folder, copy_function=_link, dirs_exist_ok=True)


def _link(source: str, target: str) -> None:
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)
