"""A local model as a provider: our own server in a child process, on a loopback address that nobody else is told.

A process of its own, so that the model's memory is free again before anything is trained.
"""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import orjson

from ...schemas.base.errors import Location, Problem, UserError
from ..models.reference import resolve_target

_TAIL = 12


@contextmanager
def served(name: str, runs: Path) -> Iterator[tuple[str, str]]:
    """(address, identity of the weights) of the model, served while the block runs. Raises UserError when it cannot be loaded."""
    target = resolve_target(name, runs)
    argv = [sys.executable, "-m", "recipekit.runner.inference", orjson.dumps(target._asdict()).decode()]
    environment = {**os.environ, "PYTHONSAFEPATH": "1", "TOKENIZERS_PARALLELISM": "false", "OMP_WAIT_POLICY": "PASSIVE"}
    # Its standard input is ours to hold: when we are gone, however we ended, it reads the end of it and ends too.
    child = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, start_new_session=True
    )
    try:
        assert child.stdout and child.stderr
        line = child.stdout.readline()
        if not line:
            said = child.stderr.read().decode("utf-8", "replace").strip().splitlines()[-_TAIL:]
            raise UserError(Problem(Location(name), "cannot be served:\n" + "\n".join(f"    | {text}" for text in said), rule="no-model"))
        yield orjson.loads(line)["base_url"], target.identity
    finally:
        child.kill()
        child.communicate()
