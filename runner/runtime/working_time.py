"""How long processes have worked on a run."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from .run_files import PROGRESS
from .watchdog import HEARTBEAT


def working_seconds(run: Path, status: Mapping[str, Any], now: float | None = None) -> float:
    """Return the seconds that processes have worked on a run with this status, the newest until `now` or its end; negative if the clock was
    set back. The time between a process that was stopped and the one that resumed the run is not counted; a process that was killed counts
    until its last sign of progress."""
    ended = now or status.get("finished", status.get("updated", 0.0))
    if not now and status.get("state") == "running":
        signs = (run / name for name in (HEARTBEAT, PROGRESS))
        ended = max([ended, *(path.stat().st_mtime for path in signs if path.is_file())])
    return round(status.get("spent", 0.0) + ended - status.get("started", ended), 1)
