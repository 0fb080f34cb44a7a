"""`recipe join`: join a multi-machine run as a node."""

from pathlib import Path

import click

from ...runtime.find_run import find_run
from .. import completion
from ..options import runs_dir_option
from .run import require_train_extra


@click.command("join")
@click.argument("run", shell_complete=completion.runs)
@click.option("--node", type=click.IntRange(1), required=True, help="Rank of this machine: 1 for the second, and so on.")
@runs_dir_option
def command(run: str, node: int, root: Path) -> None:
    """Join RUN, which `recipe run` has started on the first machine. Its directory must be on storage that all machines share."""
    require_train_extra()
    from ...launch.multi_node import join
    from ...runtime.console import Display

    with Display() as display:
        join(find_run(run, root, with_smoke=True), node, display)
