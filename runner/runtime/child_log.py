"""The log of a child process: output goes through a pipe to log_writer.py, and never blocks if the writer has died."""

import os
import signal
import subprocess
import sys
from pathlib import Path

from ...schemas.base.errors import Problem, UserError

_CLOSE_SECONDS = 10
_MOST_WRITERS = 5


class ChildLog:
    """The pipe to a log, and the process that writes the log.

    This process keeps the reading end open, so that a child whose writer was killed does not fail on its next line, and the next writer
    gets what is in the pipe.
    """

    def __init__(self, path: Path, environment: dict[str, str]) -> None:
        self.path, self.environment = path, {**environment, "PYTHONSAFEPATH": "1"}
        self.reader, self.output = os.pipe()
        self.started = 0
        path.touch()
        self.writer = self._start("")

    def _start(self, note: str) -> subprocess.Popen[bytes]:
        self.started += 1
        argv = (sys.executable, "-m", "recipekit.runner.runtime.log_writer", str(self.path.absolute()), note)
        return subprocess.Popen(argv, stdin=self.reader, start_new_session=True, env=self.environment)

    def revive(self) -> str:
        """Start another writer if the last one has died; return what happened, "" if it is alive.

        Raises UserError if writers keep dying.
        """
        code = self.writer.poll()
        if code is None:
            return ""
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        what = f"the process that writes the log ended {how}"
        if self.started == _MOST_WRITERS:
            raise UserError(Problem(self.path, f"{what}, for the {self.started}th time", "check whether the disk is full", "log"))
        note = f"{what} and was restarted; lines may be missing here"
        self.writer = self._start(note)
        return note

    def close(self) -> None:
        """Wait until no process can write to the log, and everything written is in it."""
        os.close(self.output)
        try:
            while self.writer.wait(_CLOSE_SECONDS) and self.started < _MOST_WRITERS:
                self.revive()
        except subprocess.TimeoutExpired:  # a process that left the child's group still has the log open
            self.writer.kill()
            self.writer.wait()
        finally:
            os.close(self.reader)
