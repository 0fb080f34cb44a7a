"""A trainer that hangs is noticed by what it no longer does."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HEARTBEAT = "heartbeat"
# No single pass over a micro-batch, no download and no collective takes so long (NCCL's own patience is as much); a training that has
# shown itself slower is given ten times its longest pause.
FLOOR_SECONDS = 1800
FACTOR = 10


def beat(path: Path = Path(HEARTBEAT)) -> None:
    """Say that something was done: each micro-batch, of training or of evaluation, changes the file's time."""
    try:
        os.utime(path)
    except FileNotFoundError:
        path.touch()


class Watchdog:
    """Watches a run directory for signs of life; `seconds_since_progress` is over `limit` when there were none for too long.

    While a training trains, a sign is a heartbeat: a trainer that hangs may well write warnings. Before and after it, when models are
    fetched, loaded and saved, what it logs is a sign too.
    """

    def __init__(self, folder: Path, log: str, floor: float = FLOOR_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self.heartbeat, self.log = folder / HEARTBEAT, folder / log
        self.floor, self.clock = floor, clock
        self.trainer = 0  # its process number while it trains
        self.seen = self.signs()
        self.last = clock()
        self.longest_step = 0.0

    def signs(self) -> tuple[int, int]:
        """What changes when something is done."""
        beats = self.heartbeat.stat().st_mtime_ns if self.heartbeat.exists() else 0
        return beats, 0 if self.trainer or not self.log.exists() else self.log.stat().st_size

    def event(self, event: dict[str, Any]) -> None:
        """An event of the child: a sign of life itself, and the beginning or the end of the training."""
        if event["event"] in ("train", "stage"):
            self.trainer = event.get("pid", 0)
        self.alive()
        if event["event"] == "train":
            self.longest_step = 0.0

    def alive(self) -> None:
        """Something was done just now."""
        now = self.clock()
        self.longest_step = max(self.longest_step, now - self.last)
        self.last, self.seen = now, self.signs()

    @property
    def limit(self) -> float:
        """Seconds of silence after which a hang is certain."""
        return max(self.floor, FACTOR * self.longest_step)

    @property
    def seconds_since_progress(self) -> float:
        """Seconds since the last sign of life."""
        if self.signs() != self.seen:
            self.alive()
        return self.clock() - self.last
