"""Checkpoints that can be trusted: each is sealed when it is complete; only sealed and unchanged ones are resumed."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .run_files import Lock
from .seals import SEAL, read_seal, seal_faults


def fault(folder: Path) -> str | None:
    """Why the checkpoint cannot be resumed; None when it is complete and unchanged."""
    if not (folder / SEAL).exists():
        return "it was not completed"
    faults = seal_faults(folder)
    return faults[0] if faults else None if read_seal(folder) else f"its {SEAL} is empty"


def newest(folder: Path) -> tuple[Path | None, list[str]]:
    """The newest checkpoint that can be resumed, and a line for each newer one that cannot."""
    skipped = []
    found = [path for path in folder.glob("checkpoint-*") if path.name.removeprefix("checkpoint-").isdigit()]
    for path in sorted(found, key=lambda p: int(p.name.removeprefix("checkpoint-")), reverse=True):
        if (why := fault(path)) is None:
            return path, skipped
        skipped.append(f"{path.name} is passed over: {why}")
    return None, skipped


def other_training(before: Lock | None, now: Lock) -> list[str]:
    """What has changed between two locks of a run, in words, when their trainings are not the same; else nothing."""
    if before is None or before["train_key"] == now["train_key"]:
        return []
    changed = [line for section in ("model", "packages", "machine") for line in changes(before, now, section)]
    return changed or ["its configuration or its data has changed"]


def changes(before: Mapping[str, Any], now: Mapping[str, Any], section: str) -> list[str]:
    """The keys with other values in this section of two locks, in words."""
    was, values = before.get(section) or {}, now[section]
    return [f"{section}.{key} was {was.get(key)} and is {values.get(key)}" for key in {**was, **values} if was.get(key) != values.get(key)]


KILL_AFTER_SAVE = "RECIPEKIT_KILL_AFTER_SAVE"  # a smoke run: kill yourself once the first checkpoint is complete
KILL_AT = "RECIPEKIT_KILL_AT_STEP"  # `recipe verify-resume`: kill yourself between this step and its checkpoint
KILL_AT_END = "RECIPEKIT_KILL_AT_END"  # `recipe verify-resume`: kill yourself after the last checkpoint, before the model is saved
STOP_AT = "RECIPEKIT_STOP_AT_STEP"  # `recipe reproduce --steps`: checkpoint after this step and go no further
KILLED = "smoke_kill"
INTERRUPTED = "interrupted"
TRAINED = "trained"  # the training has come to its end: after which step, of how many, why before the last, in what time
EARLY_STOPPING = "early stopping"
