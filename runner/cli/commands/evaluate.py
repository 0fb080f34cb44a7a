"""`recipe eval`: evaluate a run again, with the recipe's evaluation section or with changes to it."""

from pathlib import Path

import click

from ....schemas.base.errors import UserError
from ...runtime.find_run import find_run
from .. import completion
from ..options import runs_dir_option, set_option
from .run import print_outcome, require_train_extra


@click.command("eval")
@click.argument("run", shell_complete=completion.runs)
@set_option
@runs_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def command(run: str, settings: tuple[str, ...], root: Path, as_json: bool) -> None:
    """Evaluate RUN again: a run's directory, or a recipe's name (its newest run)."""
    if other := [setting for setting in settings if not setting.startswith("evaluation.")]:
        raise UserError(f"--set {other[0]}: only evaluation keys can change after training")
    require_train_extra()
    from ...runtime.console import Display
    from ...workflows.run import execute, reload

    found = find_run(run, root)
    if "train" not in found.stages:
        raise found.no_model()
    loaded = reload(found, settings)
    with Display() as display:
        outcome = execute(found, loaded, root, display)
    print_outcome(outcome, as_json)
