"""`recipe eval`: measure a run's model again, with the recipe's evaluation or with another."""

from pathlib import Path

import click

from ....schemas.base.errors import UserError
from ...runtime.run_folder import RUNS, find_run
from .run import print_outcome, require_train_extra


@click.command("eval")
@click.argument("run")
@click.option("--set", "settings", multiple=True, metavar="KEY=VALUE", help="Override a key of the evaluation.")
@click.option("--out", "root", type=click.Path(path_type=Path), default=RUNS, help="Where runs are kept. Default: runs/")
@click.option("--json", "as_json", is_flag=True, help="Print the outcome as one JSON object.")
def command(run: str, settings: tuple[str, ...], root: Path, as_json: bool) -> None:
    """Evaluate the model of RUN again: a run's directory, or a recipe's name for its newest run."""
    if other := [setting for setting in settings if not setting.startswith("evaluation.")]:
        raise UserError(f"--set {other[0]}: only keys of evaluation can change after the training")
    require_train_extra()
    from ...runtime.console import Display
    from ...workflows.run import execute, reload

    found = find_run(run, root)
    if "train" not in found.status.get("stages", {}):
        raise UserError(f"{found.path} has no trained model", hint=f"recipe resume {found.path}")
    loaded = reload(found, settings)
    with Display() as display:
        print_outcome(execute(found, loaded, root, display, []), as_json)
