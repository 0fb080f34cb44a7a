"""`recipe report`: rewrite a run's report."""

from pathlib import Path

import click

from ...runtime.run_folder import find_run
from ..options import runs_dir_option


@click.command("report")
@click.argument("run")
@runs_dir_option
def command(run: str, root: Path) -> None:
    """Rewrite report.html of RUN and print its path."""
    from ...reporting.report import write_report

    click.echo(write_report(find_run(run, root)))
