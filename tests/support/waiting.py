"""Waiting for something that another process or thread does."""

import os
import signal
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

Found = TypeVar("Found")
PATIENCE = 300  # seconds: what never comes fails the test then; nothing else depends on it


def wait_until(condition: Callable[[], Found | None], process: subprocess.Popen | None = None) -> Found:
    """What the condition gives, once it is true. Fails when the process that should make it true has ended, or after PATIENCE."""
    end = time.monotonic() + PATIENCE
    while not (found := condition()):
        if time.monotonic() > end or (process and process.poll() is not None and not condition()):
            if process:
                process.kill()
            raise AssertionError(process.communicate()[1] if process else "what was waited for did not come")
        time.sleep(0.02)
    return found


def exit_code(child: int, seconds: float) -> int | None:
    """The exit code of this process's own child; None for one that was killed because it took longer."""
    deadline = time.monotonic() + seconds
    while True:
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            return os.waitstatus_to_exitcode(status)
        if time.monotonic() > deadline:
            os.kill(child, signal.SIGKILL)
            os.waitpid(child, 0)
            return None
        time.sleep(0.002)


def process_state(pid: int | str) -> str:
    """The letter of /proc/PID/stat: "R" for a process at work, "S" for one that waits, "T" for a stopped one, "Z" for a zombie; "" for none."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return ""


def has_taken(pid: int, number: int) -> bool:
    """Whether a signal that was sent to the process has reached it: its handler, if it has one, is the next that runs."""
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return not any(int(line.split()[1], 16) & 1 << number - 1 for line in lines if line.startswith(("SigPnd", "ShdPnd")))


def is_running(pid: int | str) -> bool:
    """Whether the process exists and is no zombie."""
    return process_state(pid) not in ("", "Z")
