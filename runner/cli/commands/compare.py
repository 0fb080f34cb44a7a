"""`recipe compare`: compare runs."""

from pathlib import Path

import click

from ...runtime.find_run import find_run
from .. import completion
from ..options import json_option, print_json, runs_dir_option


@click.command("compare")
@click.argument("runs", nargs=-1, required=True, metavar="RUN RUN...", shell_complete=completion.runs)
@runs_dir_option
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False), help="Also write the comparison as an HTML page.")
@click.option("--join", is_flag=True, help="Join four binary MBTI runs into one with 16 types, and compare it with the other runs.")
@json_option
def command(runs: tuple[str, ...], root: Path, html: Path | None, join: bool, as_json: bool) -> None:
    """Compare evaluated RUNS with the first one. Each is a run's directory or a recipe's name (its newest run)."""
    if len(runs) < 2:
        raise click.UsageError("needs at least two RUNS; recipe runs lists them")
    if join:
        from ...reporting.joined_labels import join_runs as compare
    else:
        from ...reporting.comparison import compare

    found = compare([find_run(run, root) for run in runs])
    if html:
        from ...reporting.comparison import write_page

        click.echo(str(write_page(found, html)), err=True)
    if as_json:
        print_json(found)
        return
    from ....schemas.base.screen import Screen
    from ...reporting.comparison import print_comparison

    print_comparison(found, Screen())
