"""`recipe resume`: go on with a run where it was interrupted."""

from pathlib import Path
from typing import Any

import click

from ....schemas.base.errors import UserError
from ...runtime.run_folder import RUNS, RunFolder, find_run
from .run import print_outcome, require_train_extra


@click.command("resume")
@click.argument("run")
@click.option("--out", "root", type=click.Path(path_type=Path), default=RUNS, help="Where runs are kept. Default: runs/")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def command(run: str, root: Path, as_json: bool) -> None:
    """Go on with RUN: a run's directory, or a recipe's name for its newest run."""
    print_outcome(resume_run(find_run(run, root), root), as_json)


def resume_run(run: RunFolder, root: Path) -> Any:
    """Complete the stages that the run has not completed, from its own copy of the recipe."""
    require_train_extra()
    from ...runtime.console import Display
    from ...workflows.run import execute, reload

    if run.status.get("state") == "done":
        raise UserError(f"{run.path} is finished: there is nothing to resume")
    loaded = reload(run)
    with Display() as display:
        display.say("resume", f"{loaded.recipe.name} ({run.path}), {run.status.get('state')} before")
        return execute(run, loaded, root, display, [])
