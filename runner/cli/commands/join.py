"""`recipe join`: train as another machine of a run."""

from pathlib import Path

import click

from ...runtime.run_folder import RUNS, find_run
from .run import require_train_extra


@click.command("join")
@click.argument("run")
@click.option("--node", type=click.IntRange(1), required=True, help="Which machine this is: 1 for the second, and so on.")
@click.option("--out", "root", type=click.Path(path_type=Path), default=RUNS, help="Where runs are kept. Default: runs/")
def command(run: str, node: int, root: Path) -> None:
    """Take part in RUN, which `recipe run` began on the first machine of several; its directory must be seen by all of them."""
    require_train_extra()
    from ...launch.multi_node import join
    from ...runtime.console import Display

    with Display() as display:
        join(find_run(run, root), node, display)
