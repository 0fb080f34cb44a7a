"""What a smoke run does in addition: it lists the differences from the full run, and shows that a killed training resumes."""

from typing import Any

from ...schemas.base.counted import counted
from ...schemas.base.errors import Interrupted, UserError
from ...schemas.sections import Recipe
from ...schemas.yaml_writing import dotted, one_line
from ..launch.plan import Plan
from ..runtime.checkpoints import KILL_AFTER_SAVE, KILLED
from ..runtime.child_process import run_child
from ..runtime.console import Display
from ..runtime.resolved_values import changed_values
from ..runtime.run_folder import RunFolder


def differences(full: Recipe, smoke: Recipe) -> dict[str, dict[str, Any]]:
    """Return the keys with other values than in the full run: name -> {full, smoke}."""
    return {dotted(path): {"full": before, "smoke": after} for path, (before, after) in changed_values(full, smoke).items()}


def announce(keys: dict[str, dict[str, Any]], display: Display) -> None:
    """Print which keys differ from the full run."""
    display.say("smoke", f"{counted(len(keys), 'key', 'differ')} from the full run, no others (--set smoke.KEY=VALUE sets one):")
    for name, pair in keys.items():
        display.say("", f"{name}: {one_line(pair['full'])} -> {one_line(pair['smoke'])}")


def train_until_killed(plan: Plan, run: RunFolder, display: Display) -> None:
    """Train until the first checkpoint is complete and the process kills itself; training must resume from there."""
    killed: list[int] = []

    def follow(event: dict[str, Any]) -> None:
        if event["event"] == KILLED:
            killed.append(event["step"])
        display.event(event)

    try:
        run_child(plan.executable(), run.path, {**plan.env, KILL_AFTER_SAVE: "1"}, "train.log", "training", follow)
    except UserError as error:
        if not killed or isinstance(error, Interrupted):  # Ctrl-C makes it write the checkpoint after which it kills itself
            raise
    display.clear()
    if killed:
        display.say("", f"killed (SIGKILL) after the checkpoint of step {killed[0]}, to check that it resumes from there")
