"""What a program writes to its terminal, and what is printed to a screen of a given width."""

import fcntl
import io
import os
import pty
import struct
import subprocess
import sys
import termios
from collections.abc import Callable
from pathlib import Path

from recipekit.schemas.base.screen import Screen

MAIN = "from recipekit.runner.cli.main import main; main()"


def in_terminal(*arguments: str, code: str = MAIN, columns: int = 80, cwd: Path | None = None, keys: str = "") -> tuple[int, str]:
    """The exit code of `recipe ...` (or other Python code), and all that it wrote to its terminal, with every control sequence.

    `keys` are typed at once.
    """
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 40, columns, 0, 0))
    environment = {**os.environ, "RECIPEKIT_DEVICE": "cpu", "PYTHONSAFEPATH": "1", "TERM": "xterm-256color"}
    for name in ("COLUMNS", "LINES", "NO_COLOR"):
        environment.pop(name, None)
    child = subprocess.Popen(
        [sys.executable, "-c", code, *arguments],
        cwd=cwd,
        env=environment,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    os.write(ours, keys.encode())
    written = bytearray()
    while True:
        try:
            block = os.read(ours, 1 << 16)
        except OSError:  # the terminal is closed: the child has ended
            break
        if not block:
            break
        written += block
    os.close(ours)
    return child.wait(), written.decode()


def screen_text(show: Callable[[Screen], object], width: int) -> str:
    """What a function prints to a screen that is a file."""
    screen = Screen(file=io.StringIO(), width=width)
    show(screen)
    return screen.file.getvalue()  # pyright: ignore[reportAttributeAccessIssue]
