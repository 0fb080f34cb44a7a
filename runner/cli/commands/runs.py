"""`recipe runs`: list runs with their state and metrics."""

from difflib import get_close_matches
from pathlib import Path

import click
import orjson

from ....schemas.base.errors import Location, Problem, UserError
from ...reporting.run_summary import run_summary
from ...runtime.run_folder import all_runs
from ..options import json_option, runs_dir_option


@click.command("runs")
@click.argument("recipe", required=False)
@runs_dir_option
@json_option
def command(recipe: str | None, root: Path, as_json: bool) -> None:
    """List the runs, newest first; with RECIPE, only those of that recipe."""
    rows = [run_summary(run) for run in all_runs(root, recipe)]
    if recipe and not rows:
        raise UserError(Problem(Location(recipe), "no such run", _hint(recipe, root), "no-such-run"))
    if as_json:
        click.echo(orjson.dumps({"runs": rows}, option=orjson.OPT_INDENT_2))
        return
    if not rows:
        click.echo(f"no runs in {root}/", err=True)
        return
    from ....schemas.base.screen import Screen
    from ...reporting.runs_table import print_runs

    print_runs(rows, Screen())


def _hint(recipe: str, root: Path) -> str:
    """Return a hint with the nearest recipe that has runs."""
    near = get_close_matches(recipe, {run.path.parent.name for run in all_runs(root)}, n=1)
    return f"did you mean {near[0]!r}?" if near else "give a recipe's name; `recipe runs` lists all runs"
