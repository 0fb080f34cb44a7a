"""`recipe runs`: list runs with their state and metrics."""

from pathlib import Path

import click

from ....schemas.base.counted import counted
from ....schemas.paths import SUFFIXES
from ...reporting.run_summary import run_summary
from ...runtime.find_run import all_runs, closed_folders, find_run
from .. import completion
from ..options import json_option, print_json, runs_dir_option


@click.command("runs")
@click.argument("recipe", required=False, shell_complete=completion.runs)
@runs_dir_option
@json_option
def command(recipe: str | None, root: Path, as_json: bool) -> None:
    """List the runs, newest first; with RECIPE, only that recipe's, or one run."""
    runs = all_runs(root, recipe)
    if recipe and not runs:
        found = find_run(recipe, root)
        runs = all_runs(root, found.path.parent.name) if Path(recipe).suffix in SUFFIXES else [found]
    rows = [run_summary(run) for run in runs]
    if closed := closed_folders(root):
        names = ", ".join([*map(str, closed[:3]), *(["..."] if len(closed) > 3 else [])])
        click.echo(f"not listed: {counted(len(closed), 'folder')} that this user may not open: {names}", err=True)
    if as_json:
        print_json({"runs": rows})
        return
    if not rows:
        click.echo(f"no runs in {root}/", err=True)
        return
    from ....schemas.base.screen import Screen
    from ...reporting.runs_table import print_runs

    print_runs(rows, Screen())
