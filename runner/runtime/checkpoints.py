"""Find checkpoints to resume from: each is sealed when it is complete, and only sealed, unchanged ones are used. So are tokenised rows."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ...schemas.base.hashing import SEAL
from .run_files import Lock
from .seals import read_seal, seal_faults

INCOMPLETE = "it is incomplete"


def fault(folder: Path) -> str | None:
    """Return why the checkpoint cannot be used, or None if it is complete and unchanged."""
    if not (folder / SEAL).exists():
        return INCOMPLETE
    faults = seal_faults(folder)
    return faults[0] if faults else None if read_seal(folder) else f"its {SEAL} is empty"


def newest(folder: Path) -> tuple[Path | None, list[str]]:
    """Return the newest usable checkpoint, and a message for each newer one that is skipped."""
    skipped = []
    found = [path for path in folder.glob("checkpoint-*") if path.name.removeprefix("checkpoint-").isdigit()]
    for path in sorted(found, key=lambda p: int(p.name.removeprefix("checkpoint-")), reverse=True):
        if (why := fault(path)) is None:
            return path, skipped
        skipped.append(f"skipping {path.name}: {why}")
    return None, skipped


def other_training(before: Lock | None, now: Lock) -> list[str]:
    """Return what changed between two locks of a run if they belong to different trainings, in words; otherwise nothing."""
    if before is None or before["train_key"] == now["train_key"]:
        return []
    changed = [line for section in ("model", "packages", "machine") for line in changes(before, now, section)]
    return changed or ["its configuration or its data changed"]


def changes(before: Mapping[str, Any], now: Mapping[str, Any], section: str) -> list[str]:
    """Return the keys of this section with different values in two locks, in words."""
    was, values = before.get(section) or {}, now[section]
    return [f"{section}.{key} was {was.get(key)} and is {values.get(key)}" for key in {**was, **values} if was.get(key) != values.get(key)]


KILL_AFTER_SAVE = "RECIPEKIT_KILL_AFTER_SAVE"  # smoke run: exit by SIGKILL once the first checkpoint is complete
KILL_AT = "RECIPEKIT_KILL_AT_STEP"  # `recipe verify-resume`: exit by SIGKILL between this step and its checkpoint
KILL_AT_END = "RECIPEKIT_KILL_AT_END"  # `recipe verify-resume`: exit by SIGKILL after the last checkpoint, before the model is saved
NEVER_BETTER = "RECIPEKIT_NEVER_BETTER"  # `recipe verify-resume`: no evaluation is better than the first, so that early stopping acts
STOP_AT = "RECIPEKIT_STOP_AT_STEP"  # `recipe reproduce --steps`: write a checkpoint after this step and stop
KILLED = "smoke_kill"
INTERRUPTED = "interrupted"
TRAINED = "trained"  # event at the end of the training: the last step, of how many, why earlier than planned, in what time
SAVED = "saved"  # the last event of a training: model and tokenizer are whole, and nothing is left to do
EARLY_STOPPING = "early stopping"
