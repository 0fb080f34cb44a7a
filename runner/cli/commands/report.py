"""`recipe report`: write a run's report again."""

from pathlib import Path

import click

from ...runtime.run_folder import RUNS, find_run


@click.command("report")
@click.argument("run")
@click.option("--out", "root", type=click.Path(path_type=Path), default=RUNS, help="Where runs are kept. Default: runs/")
def command(run: str, root: Path) -> None:
    """Write report.html of RUN again and print its path."""
    from ...reporting.report import write_report

    click.echo(write_report(find_run(run, root)))
