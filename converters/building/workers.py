"""Convert batches in several processes, in order. A process that dies costs its batch one retry, not the conversion.

Every process has two batches, one being converted and one waiting, so that it is never idle. Messages pass through files in memory, because
a pipe moves only 64 kB at a time: the pickle, and the lines next to it, which pickling would copy once more. Pickle is safe here: the files
are anonymous, and shared only by this process and the children that it forked.
"""

import os
import pickle
import signal
from collections import deque
from collections.abc import Iterable, Iterator
from contextlib import suppress
from itertools import accumulate, cycle, pairwise
from multiprocessing import get_context
from multiprocessing.connection import wait
from tempfile import TemporaryFile
from typing import Any, NamedTuple, Self

from ...schemas.base.errors import Location, Problem, UserError
from .conversion import Batch, Converted, Spec, convert_batch

DEPTH = 2
KEPT_BYTES = 1 << 25  # size to which a file in memory may grow before it is truncated
TRIES = 2


class Task(NamedTuple):
    """A batch to convert. `number` is its place in the order."""

    number: int
    spec: Spec
    batch: Batch
    tries: int = 1


class Failed(NamedTuple):
    """An exception in a worker: a user's mistake with its problems, or a bug with its traceback."""

    problems: list[Problem]
    traceback: str


class Workers:
    """`processes` worker processes, started when first needed; with one, this process converts."""

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self.workers: list[Worker] = []

    def convert(self, spec: Spec, batches: Iterable[Batch]) -> Iterator[Converted]:
        """Yield the converted batches in order. At most three batches per process are running or waiting."""
        if self.processes == 1:
            yield from (_here(spec, batch) for batch in batches)
            return
        self.workers = self.workers or [Worker() for _ in range(self.processes)]
        tasks = (Task(number, spec, batch) for number, batch in enumerate(batches))
        upcoming, turn = next(tasks, None), 0
        done: dict[int, Converted] = {}
        while True:
            while upcoming and upcoming.number - turn < (DEPTH + 1) * self.processes and (worker := self._with_room()):
                worker.start(upcoming)
                upcoming = next(tasks, None)
            if turn in done:
                yield done.pop(turn)
                turn += 1
                continue
            if not any(worker.tasks for worker in self.workers):  # every started batch is converted and yielded
                return
            for worker in self._ready():
                number, found = worker.result()
                if found is not None:
                    done[number] = found

    def _with_room(self) -> "Worker | None":
        """Return the worker with the fewest batches, or None if all are full."""
        worker = min(self.workers, key=lambda worker: len(worker.tasks))
        return worker if len(worker.tasks) < DEPTH else None

    def _ready(self) -> list["Worker"]:
        """Wait for and return the workers that have answered or died. A process that dies closes its end of the pipe."""
        ready = set(wait([worker.pipe for worker in self.workers if worker.tasks]))
        return [worker for worker in self.workers if worker.pipe in ready]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        for worker in self.workers:
            worker.stop()


def _here(spec: Spec, batch: Batch) -> Converted:
    try:
        return convert_batch(spec, batch)
    except (MemoryError, SystemError) as error:
        if not _is_out_of_memory(error):
            raise
        hint = "rows of many small parts take up to forty times their size: split them, or use a machine with more memory"
        raise UserError(Problem(Location(batch.file, batch.line), f"{batch} do not fit into memory", hint, "no-memory")) from None


def _is_out_of_memory(error: BaseException) -> bool:
    """Return whether memory ran out: orjson then raises a SystemError caused by a MemoryError."""
    return isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError)


class Worker:
    """One process and its batches; it converts the first of them."""

    open: "list[Worker]" = []  # shared on purpose: a forked child closes its copies of the others' pipes

    def __init__(self) -> None:
        self.files = [_file_in_memory() for _ in range(DEPTH)]
        self.tasks: deque[Task] = deque()
        self.open.append(self)
        self._spawn()

    def _spawn(self) -> None:
        pipe, theirs = get_context("fork").Pipe()
        self.pipe = pipe
        self.ends = Ends(pipe, self.files)
        self.process = get_context("fork").Process(target=_serve, args=(Ends(theirs, self.files),), daemon=True)
        self.process.start()
        theirs.close()

    def start(self, task: Task) -> None:
        """Give the worker a batch."""
        self.tasks.append(task)
        with suppress(ConnectionError):  # it has died; result() will find the pipe closed
            self.ends.send(task._replace(batch=_apart(task.batch)))

    def result(self) -> tuple[int, Converted | None]:
        """Return the first batch's number and its result; None if the process died and the batch is retried."""
        try:
            found = self.ends.receive()
        except (EOFError, OSError):
            self._retry()
            return self.tasks[0].number, None
        return self.tasks.popleft().number, unwrap(found)

    def _retry(self) -> None:
        self.process.join()
        code = self.process.exitcode or 0
        self.pipe.close()
        first, *others = self.tasks
        if first.tries == TRIES:
            died = f"was ended by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
            hint = "the system may have run out of memory: use fewer processes; if it crashed, these rows are the cause"
            what = f"a worker process {died} while it converted {first.batch}, and so did the retry"
            raise UserError(Problem(Location(first.batch.file, first.batch.line), what, hint, "worker-died"))
        self.tasks.clear()
        self._spawn()
        for task in (first._replace(tries=first.tries + 1), *others):
            self.start(task)

    def stop(self) -> None:
        """Kill the process."""
        self.open.remove(self)
        self.pipe.close()
        self.process.kill()
        self.process.join()
        self.process.close()
        for file in self.files:
            os.close(file)


class Ends:
    """One end of the channel between a worker and the parent. Message n passes through file n modulo DEPTH in both directions: the file is
    reused only after the answer was read."""

    def __init__(self, pipe: Any, files: list[int]) -> None:
        self.pipe = pipe
        self.outward, self.inward = cycle(files), cycle(files)

    def send(self, message: Any) -> None:
        """Send a message of any size. Raises BrokenPipeError if the other side has ended."""
        buffers: list[pickle.PickleBuffer] = []
        parts = [pickle.dumps(message, pickle.HIGHEST_PROTOCOL, buffer_callback=buffers.append), *(buffer.raw() for buffer in buffers)]
        ends = [0, *accumulate(map(len, parts))]
        if os.pwritev(next(self.outward), parts, 0) != ends[-1]:
            raise MemoryError
        self.pipe.send(ends)

    def receive(self) -> Any:
        """Return the next message. Raises EOFError if the other side has ended."""
        ends, file = self.pipe.recv(), next(self.inward)
        rest, *buffers = (os.pread(file, end - start, start) for start, end in pairwise(ends))
        if ends[-1] > KEPT_BYTES:
            os.truncate(file, 0)
        return pickle.loads(rest, buffers=buffers)  # noqa: S301 - from our own child through an anonymous file


def _file_in_memory() -> int:
    if hasattr(os, "memfd_create"):
        return os.memfd_create("batches")
    with TemporaryFile() as file:  # memfd_create exists on Linux only
        return os.dup(file.fileno())


def _apart(part: Any) -> Any:
    """Return a batch, converted or not, with its lines kept out of the pickle."""
    return part._replace(lines=pickle.PickleBuffer(part.lines))


def _serve(ends: Ends) -> None:
    """Convert batches in a worker until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_DFL)  # the inherited handler would raise KeyboardInterrupt here
    for worker in Worker.open:
        if hasattr(worker, "pipe"):
            worker.pipe.close()
    try:
        while True:
            task: Task = ends.receive()
            found = attempt(task.spec, task.batch)
            ends.send(found if isinstance(found, Failed) else _apart(found))
    except (EOFError, ConnectionError):
        os._exit(0)


def attempt(spec: Spec, batch: Batch) -> Converted | Failed:
    """Convert a batch in a worker; return the result, or what went wrong. Out of memory, the process exits, as if the system had killed
    it."""
    try:
        return convert_batch(spec, batch)
    except UserError as error:
        return Failed(error.problems, "")
    except Exception as error:
        if _is_out_of_memory(error):
            os._exit(1)
        import traceback

        return Failed([], traceback.format_exc())


def unwrap(found: Converted | Failed) -> Converted:
    """Return the result, or raise what went wrong in the worker: a user's mistake unchanged, a bug with its traceback."""
    if isinstance(found, Failed):
        raise UserError(*found.problems) if found.problems else RuntimeError(f"in a worker process:\n{found.traceback}")
    return found
