"""`recipe merge`: merge a run's adapter into its base model."""

from pathlib import Path

import click
import orjson

from ....schemas.base.errors import Location, Problem, UserError
from ...runtime.run_files import MERGE_RESULT, MergeResult
from ...runtime.run_folder import RunFolder, find_run
from ..options import runs_dir_option
from .run import require_train_extra


@click.command("merge")
@click.argument("run")
@click.option("--out", type=click.Path(path_type=Path), help="Folder to write. Default: merged/ in the run's directory.")
@runs_dir_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def command(run: str, out: Path | None, root: Path, as_json: bool) -> None:
    """Merge the adapter of RUN into its base model. RUN is a run's directory or a recipe's name (its newest run).

    The base model is loaded in its own precision, never in 4 bits. The merged model must reproduce the logits of base and
    adapter, or nothing is written.
    """
    found = find_run(run, root)
    require_adapter(found)
    require_train_extra()
    facts = merge_run(found, root, out)
    folder = out or found / "merged"
    if as_json:
        click.echo(orjson.dumps({"run": str(found.path), "folder": str(folder), **facts}, option=orjson.OPT_INDENT_2))
    else:
        click.echo(folder)


def require_adapter(run: RunFolder) -> None:
    """Raise UserError if the run has no adapter."""
    if "train" not in run.stages or not (run / "model").is_dir():
        raise UserError(Problem(Location(str(run.path)), "has no trained model", f"recipe resume {run.path}", "no-model"))
    if not (run / "model" / "adapter_config.json").is_file():
        hint = f"{run / 'model'} is a full model"
        raise UserError(Problem(Location(str(run.path)), "has no adapter to merge: all weights were trained", hint, "no-adapter"))


def merge_run(run: RunFolder, root: Path, out: Path | None) -> "MergeResult":
    """Merge into `out`, or the run's merged/; return the contents of merge.json."""
    from ...runtime.console import Display
    from ...stages import merge, train
    from ...stages.context import RunContext
    from ...stages.registry import data_stages
    from ...stages.stage import complete, require
    from ...workflows.run import reload

    loaded = reload(run)
    with Display() as display, run.locked():
        context = RunContext(loaded, root, display, run)
        require((*data_stages(loaded.recipe), train), context)
        if out:
            return merge.merge(context, out)
        complete([merge], context)
        return RunFolder(run / merge.MERGED).read(MERGE_RESULT)
