"""`recipe report`: rewrite a run's report and model cards."""

from pathlib import Path

import click

from ...runtime.find_run import find_run
from ...runtime.run_files import METRICS
from .. import completion
from ..options import runs_dir_option


@click.command("report")
@click.argument("run", shell_complete=completion.runs)
@runs_dir_option
def command(run: str, root: Path) -> None:
    """Rewrite report.html and the model cards of RUN, and print the report's path."""
    from ...reporting.model_card import write_cards
    from ...reporting.report import stored_recipe, write_report

    found = find_run(run, root)
    with found.locked():  # an evaluation replaces what is read here
        if found.find(METRICS) is not None and (loaded := stored_recipe(found)):
            write_cards(found, loaded.recipe)
        click.echo(write_report(found))
