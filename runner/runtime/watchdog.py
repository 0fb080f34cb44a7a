"""Detect a trainer that hangs by the absence of progress."""

import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

HEARTBEAT = "heartbeat"
# Longer than a pass over a micro-batch, a download or a collective takes (NCCL's own timeout is the same); a training that has been
# slower gets ten times its longest pause.
FLOOR_SECONDS = 1800
FACTOR = 10


def beat(path: Path = Path(HEARTBEAT)) -> None:
    """Record progress: each micro-batch, in training or evaluation, changes the file's time."""
    try:
        os.utime(path)
    except FileNotFoundError:
        path.touch()


class Watchdog:
    """Watches a run directory for progress; `seconds_since_progress` exceeds `limit` after too long a pause.

    During training, only a heartbeat counts: a trainer that hangs may still log warnings. Before and after it, while models are fetched,
    loaded and saved, log output counts too.
    """

    def __init__(self, folder: Path, log: str, floor: float = FLOOR_SECONDS, clock: Callable[[], float] = time.monotonic) -> None:
        self.heartbeat, self.log = folder / HEARTBEAT, folder / log
        self.floor, self.clock = floor, clock
        self.trainer = 0  # its process ID during training
        self.seen = self.signs()
        self.last = clock()
        self.longest_step = 0.0

    def signs(self) -> tuple[int, int]:
        """Return values that change with progress."""
        beats = self.heartbeat.stat().st_mtime_ns if self.heartbeat.exists() else 0
        return beats, 0 if self.trainer or not self.log.exists() else self.log.stat().st_size

    def event(self, event: dict[str, Any]) -> None:
        """Handle an event of the child: it is progress, and may start or end the training."""
        if event["event"] in ("train", "stage"):
            self.trainer = event.get("pid", 0)
        self.alive()
        if event["event"] == "train":
            self.longest_step = 0.0

    def alive(self) -> None:
        """Record progress now."""
        now = self.clock()
        self.longest_step = max(self.longest_step, now - self.last)
        self.last, self.seen = now, self.signs()

    @property
    def limit(self) -> float:
        """Return the seconds without progress after which the child is considered hung."""
        return max(self.floor, FACTOR * self.longest_step)

    @property
    def seconds_since_progress(self) -> float:
        """Return the seconds since the last progress."""
        if self.signs() != self.seen:
            self.alive()
        return self.clock() - self.last
