"""Serve a local model as a provider: our own server in a child process, on a loopback address that only we know.

A separate process, so that the model's memory is freed before anything is trained.
"""

import subprocess
import sys
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import orjson

from ...schemas.base.errors import Problem, UserError
from ...schemas.base.redact import redact
from ..models.reference import resolve_target
from ..runtime.child_environment import WITH_MODEL, child_environment

_TAIL = 12
_KEPT = 200  # lines, in which a secret of several lines is whole


@contextmanager
def served(name: str, runs: Path) -> Iterator[tuple[str, str]]:
    """Yield (address, identity of the weights) of the model, served while the block runs. Raises UserError if it cannot be loaded."""
    target = resolve_target(name, runs)
    argv = [sys.executable, "-m", "recipekit.runner.inference", orjson.dumps(target._asdict()).decode()]
    # The child ends when its standard input closes, however this process ends.
    with subprocess.Popen(
        argv,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=child_environment(WITH_MODEL),
        start_new_session=True,
    ) as child:
        assert child.stdout and child.stderr
        # The log is read all the time, and only its end is kept: a full pipe would block the server at its next message.
        log: deque[bytes] = deque(maxlen=_KEPT)
        reader = Thread(target=log.extend, args=(child.stderr,), daemon=True)
        reader.start()
        try:
            line = child.stdout.readline()
            if not line:
                reader.join()
                ended = redact(b"".join(log).decode("utf-8", "replace")).splitlines()[-_TAIL:]
                output = "\n".join(f"    | {text}" for text in ended)
                raise UserError(Problem(name, f"cannot be served:\n{output}", rule="no-model"))
            yield orjson.loads(line)["base_url"], target.identity
        finally:
            child.kill()
            reader.join()
