"""`recipe merge`: merge a run's adapter into its base model."""

from pathlib import Path

import click

from ...runtime.find_run import find_run
from .. import completion
from ..options import json_option, print_json, runs_dir_option
from .run import require_train_extra


@click.command("merge")
@click.argument("run", shell_complete=completion.runs)
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write. Default: merged/ in the run's directory.")
@runs_dir_option
@json_option
def command(run: str, out: Path | None, root: Path, as_json: bool) -> None:
    """Merge the adapter of RUN into its base model. RUN is a run's directory or a recipe's name (its newest run).

    The base model is loaded in its own precision, never in 4 bits. The merged model must reproduce the logits of base and
    adapter, or nothing is written.
    """
    require_train_extra()
    from ...workflows.merge import merge_run

    found = find_run(run, root)
    facts = merge_run(found, root, out)
    folder = out or found / "merged"
    if as_json:
        print_json({"run": str(found.path), "folder": str(folder), **facts})
    else:
        click.echo(folder)
