"""What a rehearsal does beside running the recipe: it says what differs from the real run, and proves that a killed training goes on."""

from typing import Any

from ...schemas.base.errors import UserError
from ...schemas.sections import Recipe
from ...schemas.yaml_writing import dotted, one_line
from ..launch.plan import Plan
from ..runtime.checkpoints import KILL_AFTER_SAVE, KILLED
from ..runtime.child_process import run_child
from ..runtime.console import Display
from ..runtime.resolved_values import leaves
from ..runtime.run_folder import RunFolder

FILE = "rehearsal.json"


def differences(real: Recipe, rehearsed: Recipe) -> dict[str, dict[str, Any]]:
    """The keys with other values than in the real run: name -> {real, rehearsal}."""
    before, after = ({dotted(path): value for path, value in leaves(recipe) if path[0] != "smoke"} for recipe in (real, rehearsed))
    names = [*before, *(name for name in after if name not in before)]
    pairs = {name: {"real": before.get(name), "rehearsal": after.get(name)} for name in names}
    return {name: pair for name, pair in pairs.items() if pair["real"] != pair["rehearsal"]}


def announce(run: RunFolder, real: Recipe, rehearsed: Recipe, display: Display) -> None:
    """Say, and note in the run, which keys differ from the real run."""
    found = differences(real, rehearsed)
    run.write(FILE, {"keys": found})
    display.say("rehearsal", f"{len(found)} keys differ from the real run, no others:")
    for name, pair in found.items():
        display.say("", f"{name}: {one_line(pair['real'])} -> {one_line(pair['rehearsal'])}")


def train_until_killed(plan: Plan, run: RunFolder, display: Display) -> None:
    """Train up to the first complete checkpoint, where the process kills itself; what follows must go on from there."""
    killed: list[int] = []

    def follow(event: dict[str, Any]) -> None:
        if event["event"] == KILLED:
            killed.append(event["step"])
        display.event(event)

    try:
        run_child(plan.executable(), run.path, {**plan.env, KILL_AFTER_SAVE: "1"}, "train.log", "training", follow)
    except UserError:
        if not killed:
            raise
    display.clear()
    if killed:
        display.say("", f"killed (SIGKILL) after the checkpoint of step {killed[0]}, to see that it goes on from there")
