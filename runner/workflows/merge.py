"""`recipe merge`: merge a run's adapter into its base model."""

from pathlib import Path

from ...schemas.base.errors import Problem, UserError
from ..runtime.console import Display
from ..runtime.run_files import MERGE_RESULT, MergeResult
from ..runtime.run_folder import RunFolder
from ..stages import merge, train
from ..stages.context import RunContext
from ..stages.registry import data_stages
from ..stages.stage import complete, require
from .run import reload


def merge_run(run: RunFolder, root: Path, out: Path | None) -> MergeResult:
    """Merge into `out`, or the run's merged/; return the contents of merge.json. Raises UserError if the run has no adapter."""
    _require_adapter(run)
    loaded = reload(run)
    with Display() as display, run.locked():
        context = RunContext(loaded, root, display, run)
        require((*data_stages(loaded.recipe), train), context)
        if out:
            return merge.merge(context, out)
        complete([merge], context)
        return RunFolder(run / merge.MERGED).read(MERGE_RESULT)


def _require_adapter(run: RunFolder) -> None:
    """Raise UserError if the run has no adapter."""
    if "train" not in run.stages or not (run / "model").is_dir():
        raise run.no_model()
    if not (run / "model" / "adapter_config.json").is_file():
        hint = f"{run / 'model'} is a full model"
        raise UserError(Problem(run.path, "has no adapter to merge: all weights were trained", hint, "no-adapter"))
