"""`recipe runs`: what was run, how it ended, and its numbers."""

from difflib import get_close_matches
from pathlib import Path

import click
import orjson

from ....schemas.base.errors import Location, Problem, UserError
from ...reporting.run_summary import run_summary
from ...runtime.run_folder import RUNS, all_runs


@click.command("runs")
@click.argument("recipe", required=False)
@click.option("--out", "root", type=click.Path(path_type=Path), default=RUNS, help="Where runs are kept. Default: runs/")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(recipe: str | None, root: Path, as_json: bool) -> None:
    """List the runs, newest first; with RECIPE, only its own."""
    rows = [run_summary(run) for run in all_runs(root, recipe)]
    if recipe and not rows:
        raise UserError(Problem(Location(recipe), "no such run", _hint(recipe, root), "no-such-run"))
    if as_json:
        click.echo(orjson.dumps({"runs": rows}, option=orjson.OPT_INDENT_2))
        return
    if not rows:
        click.echo(f"no runs in {root}/", err=True)
        return
    from rich.console import Console

    from ...reporting.runs_table import print_runs

    print_runs(rows, Console(markup=False))


def _hint(recipe: str, root: Path) -> str:
    """The recipe with runs that may have been meant."""
    near = get_close_matches(recipe, {run.path.parent.name for run in all_runs(root)}, n=1)
    return f"did you mean {near[0]!r}?" if near else "give a recipe's name; recipe runs lists the runs of all"
