"""`recipe resume`: resume an interrupted run."""

from pathlib import Path
from typing import TYPE_CHECKING

import click

from ....schemas.base.errors import UserError
from ...runtime.find_run import find_run
from ...runtime.run_folder import RunFolder
from .. import completion
from ..options import json_option, runs_dir_option
from .run import print_outcome, require_train_extra

if TYPE_CHECKING:
    from ...workflows.run import Outcome


@click.command("resume")
@click.argument("run", shell_complete=completion.runs)
@runs_dir_option
@json_option
def command(run: str, root: Path, as_json: bool) -> None:
    """Resume RUN: a run's directory, or a recipe's name (its newest run)."""
    print_outcome(resume_run(find_run(run, root, with_smoke=True), root), as_json)


def resume_run(run: RunFolder, root: Path) -> "Outcome":
    """Complete the remaining stages from the run's own copy of the recipe. Raises UserError for a finished run."""
    require_train_extra()
    from ...runtime.console import Display
    from ...workflows import run as workflow

    if run.is_done:
        raise UserError(f"{run.path} is finished: nothing to resume")
    with Display() as display:
        return workflow.resume_run(run, workflow.reload(run), root, display)
