"""Convert batches on a Ray cluster, in order: what Workers does with processes on one machine, with the same results.

Batches are read and committed here, in order; only the conversion is distributed. If a worker or node is lost, its batches are retried.
Ray finds the cluster by RAY_ADDRESS, or starts one on this machine; recipekit must be installed on every node.
"""

import logging
import os
import socket
import sys
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, redirect_stdout
from typing import Any, Self

from ...schemas.base.errors import Location, Problem, UserError
from .conversion import Batch, Converted, Spec
from .workers import attempt, unwrap

TRIES = 4


class RayWorkers:
    """Converts on the cluster at `address` (default: Ray's choice), `processes` batches at a time; 1 means as many as it has cores."""

    def __init__(self, processes: int = 1, address: str | None = None) -> None:
        self.processes = processes
        self.address = address
        self.context = ExitStack()

    def __enter__(self) -> Self:
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # turns off Ray's telemetry
        import ray

        _check_reachable(self.address or os.environ.get("RAY_ADDRESS", ""))
        self.context.enter_context(redirect_stdout(sys.stderr))  # Ray prints about dead workers; stdout is for data
        ray.init(self.address, log_to_driver=False, logging_level=logging.ERROR)
        self.context.callback(ray.shutdown)
        return self

    def __exit__(self, *error: object) -> None:
        self.context.close()

    def convert(self, spec: Spec, batches: Iterable[Batch]) -> Iterator[Converted]:
        """Yield the converted batches in order. At most two batches per process are running or waiting."""
        import ray

        work = ray.remote(num_cpus=1, max_retries=TRIES - 1)(attempt)
        shared, waiting = ray.put(spec), deque[tuple[Any, str, Location]]()
        most = 2 * (self.processes if self.processes > 1 else max(int(ray.cluster_resources().get("CPU", 1)), 1))
        for batch in batches:
            waiting.append((work.remote(shared, batch), str(batch), Location(batch.file, batch.line)))
            if len(waiting) >= most:
                yield _result(*waiting.popleft())
        while waiting:
            yield _result(*waiting.popleft())


def _check_reachable(address: str) -> None:
    """Raise UserError if the address does not answer: Ray itself retries for minutes."""
    host, _, port = address.rpartition(":")
    if not port.isdigit() or "/" in address:
        return
    try:
        socket.create_connection((host, int(port)), timeout=10).close()
    except (OSError, UnicodeError) as error:  # UnicodeError: no name of a host
        hint = "start one with `ray start --head`, or unset RAY_ADDRESS"
        raise UserError(f"no Ray cluster answers at {address}: {error}", hint=hint) from None


def _result(reference: Any, batch: str, location: Location) -> Converted:
    import ray
    from ray.exceptions import RayError

    try:
        return unwrap(ray.get(reference))
    except RayError as error:
        what = f"a Ray worker was lost while it converted {batch}, and again in every retry ({type(error).__name__})"
        hint = "it may have run out of memory; if it crashed, these rows are the cause"
        raise UserError(Problem(location, what, hint, "worker-died")) from None
