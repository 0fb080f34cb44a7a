"""Whether this machine can start what `launch` asks for, told before anything is converted or trained."""

from ...schemas.base.errors import Problem, UserError
from ...schemas.recipe import Loaded
from ..runtime.machine import Machine
from .engines import unstartable
from .slurm import must_submit
from .trackers import require_trackers


def require_startable(loaded: Loaded, machine: Machine) -> None:
    """Raise UserError where it cannot. A job's machine is another than the one that submits it."""
    if must_submit(loaded.recipe):
        return
    require_trackers(loaded.recipe)
    mark = loaded.document.mark
    found = [Problem(mark(("launch", key)), f"launch.{key}: {what}", hint, "launch")
             for key, what, hint in unstartable(loaded.recipe.launch, machine)]  # fmt: skip
    if found:
        raise UserError(*found)
