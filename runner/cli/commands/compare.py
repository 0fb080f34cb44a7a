"""`recipe compare`: runs beside each other."""

from pathlib import Path

import click
import orjson

from ....schemas.base.errors import UserError
from ...runtime.run_folder import RUNS, find_run


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...")
@click.option("--out", "root", type=click.Path(path_type=Path), default=RUNS, help="Where runs are kept. Default: runs/")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Also write the comparison as one HTML page.")
@click.option("--join", is_flag=True, help="Join four binary MBTI runs into 16 types; further runs have 16 labels.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(runs: tuple[str, ...], root: Path, html: Path | None, join: bool, as_json: bool) -> None:
    """Compare evaluated RUNs with the first of them: directories, or recipes' names for their newest runs."""
    if len(runs) < 2:
        raise UserError("a comparison needs two runs or more", hint="recipe runs lists them")
    if join:
        from ...reporting.join_mbti import join_runs as compare
    else:
        from ...reporting.comparison import compare

    found = compare([find_run(run, root) for run in runs])
    if html:
        from ...reporting.comparison import write_page

        click.echo(str(write_page(found, html)), err=True)
    if as_json:
        click.echo(orjson.dumps(found, option=orjson.OPT_INDENT_2))
        return
    from rich.console import Console

    from ...reporting.comparison import print_comparison

    print_comparison(found, Console())
