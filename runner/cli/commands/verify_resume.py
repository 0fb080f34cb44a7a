"""`recipe verify-resume`: check that a killed training resumes as if it had not been killed."""

import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ....schemas.base.counted import counted
from ....schemas.base.errors import GateError, Interrupted, Problem
from ....schemas.recipe import load_recipe
from .. import completion
from ..options import json_option, print_json, runs_dir_option, set_option
from .run import require_train_extra

if TYPE_CHECKING:
    from ...workflows.resume_check import ResumeReport


@click.command("verify-resume")
@click.argument("recipe", shell_complete=completion.recipes)
@set_option
@click.option("--smoke", is_flag=True, help="Use a tiny model and the recipe's smoke section.")
@click.option("--steps", "half", type=click.IntRange(2), default=4, show_default=True, help="Half the number of steps.")
@click.option("--kills", type=click.IntRange(0), default=0, show_default=True, help="More kills, at random moments.")
@runs_dir_option
@json_option
def command(recipe: str, settings: tuple[str, ...], smoke: bool, half: int, kills: int, root: Path, as_json: bool) -> None:
    """Train RECIPE once without interruption and once with `kill -9` in the middle and at the end, and compare weights, optimizer,
    scheduler, random states and losses; with early_stopping_patience, also after early stopping. On a CPU, and on a GPU with
    training.deterministic, they must be bit-identical; on a GPU without, the losses must be the same within 2 %. Exit code 3 if they are
    not; the files of all trainings are then kept."""
    require_train_extra()
    from ...runtime.console import Display
    from ...workflows.resume_check import check_resume, overrides

    given = load_recipe(recipe, settings, smoke)
    changed = overrides(given, half)
    loaded = load_recipe(recipe, (*settings, *changed), smoke)
    stops_early = given.recipe.training.early_stopping_patience
    stopping = load_recipe(recipe, (*settings, *overrides(given, half, stops_early=True)), smoke) if stops_early else None
    root.mkdir(parents=True, exist_ok=True)
    with _folder_of_trainings(root, loaded.recipe.name) as folder, Display() as display:
        display.say("recipe", f"{loaded.recipe.name} ({loaded.path}), with {', '.join(changed)}")
        proof = check_resume(loaded, root.resolve(), folder.resolve(), kills, display.event, stopping)
    _print(proof, as_json)
    if proof.different:
        hint = f"both trainings are in {folder}"
        raise GateError(*(Problem("", f"{part}: {found}", hint, "not-the-same") for part, found in proof.different.items()))
    shutil.rmtree(folder)


@contextmanager
def _folder_of_trainings(root: Path, name: str) -> Iterator[Path]:
    """Make a folder for both trainings. It is removed if nothing was trained or the user stops: half a check proves nothing."""
    folder = Path(tempfile.mkdtemp(prefix=f"verify-resume-{name}-", dir=root))
    try:
        yield folder
    except (Interrupted, KeyboardInterrupt):
        shutil.rmtree(folder)
        raise Interrupted(Problem("", "the check was stopped", "it cannot be resumed: start it again", "interrupted")) from None
    except BaseException:
        if not any(folder.rglob("train.log")):
            shutil.rmtree(folder)
        raise


def _print(proof: "ResumeReport", as_json: bool) -> None:
    if as_json:
        facts = {"steps": proof.steps, "kills": [kill._asdict() for kill in proof.kills], "parts": proof.parts,
                 "bit_identical": not any(proof.parts.values()), "guaranteed": proof.guarantee.words,
                 "same": not proof.different}  # fmt: skip
        print_json(facts)
        return
    from ....schemas.base.screen import Screen

    found = [_result(proof, part) for part in proof.parts]
    console = Screen()
    console.print_table({"killed": [kill[0] for kill in proof.kills], "resumed from": [kill[1] for kill in proof.kills]})
    console.print_table({"part": [*proof.parts], f"killed and unbroken training after {counted(proof.steps, 'step')}": found})
    console.print_words(f"guaranteed: {proof.guarantee.words}")


def _result(proof: "ResumeReport", part: str) -> str:
    """Return a part's first difference, and whether it keeps the guarantee."""
    found = proof.parts[part]
    if not found or proof.guarantee.is_exact(part):
        return found or "bit-identical"
    if part == "losses":
        return proof.beyond or f"the same within {proof.guarantee.tolerance:.0%}; {found}"
    return f"{found} (not guaranteed)"
