"""Batches converted in several processes, in order. A process that dies costs its batch one more try, not the conversion.

Messages are pickles. Large ones pass through memory that a worker shares with the parent, since a pipe moves only 64 KB at a time.
"""

import os
import pickle
import signal
from collections.abc import Iterable, Iterator
from mmap import mmap
from multiprocessing import get_context
from multiprocessing.connection import wait
from typing import Any, NamedTuple, Self

from ...schemas.errors import Mark, Problem, UserError
from .conversion import Batch, Converted, Spec, convert_batch

SLOT_BYTES = 1 << 25  # reserved, not used: memory is taken when it is written to
TRIES = 2


class Task(NamedTuple):
    """A batch on its way. `number` is its place in the order."""

    number: int
    spec: Spec
    batch: Batch
    tries: int = 1


class Failed(NamedTuple):
    """What a worker says of an exception: a user's mistake with its problems, or our bug with its traceback."""

    problems: list[Problem]
    traceback: str


class Workers:
    """`processes` workers, started when they are first needed; with one, the work is done here."""

    def __init__(self, processes: int) -> None:
        self.processes = processes
        self.workers: list[Worker] = []

    def convert(self, spec: Spec, batches: Iterable[Batch]) -> Iterator[Converted]:
        """The converted batches, in the order of the batches. At most two batches a process are under way or waiting their turn."""
        if self.processes == 1:
            yield from (_here(spec, batch) for batch in batches)
            return
        self.workers = self.workers or [Worker() for _ in range(self.processes)]
        tasks = (Task(number, spec, batch) for number, batch in enumerate(batches))
        done: dict[int, Converted] = {}
        idle, busy, turn = list(self.workers), [], 0
        while True:
            while idle and len(busy) + len(done) < 2 * self.processes and (task := next(tasks, None)):
                busy.append(idle.pop().start(task))
            if turn in done:
                yield done.pop(turn)
                turn += 1
                continue
            if not busy:  # then nothing waits, since what was started is either busy, done, or given out
                return
            for worker in _ready(busy):
                number, found = worker.result()
                if found is not None:
                    done[number] = found
                    busy.remove(worker)
                    idle.append(worker)

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
        raise UserError(Problem(Mark(batch.file, batch.line), f"{batch} do not fit into memory", hint, "no-memory")) from None


def _is_out_of_memory(error: BaseException) -> bool:
    """orjson without memory gives a SystemError that the MemoryError has caused."""
    return isinstance(error, MemoryError) or isinstance(error.__cause__, MemoryError)


def _ready(workers: list["Worker"]) -> list["Worker"]:
    """The workers that have an answer or have died, once there is one. A process that dies closes its end of the pipe."""
    ready = set(wait([worker.pipe for worker in workers]))
    return [worker for worker in workers if worker.pipe in ready]


class Worker:
    """One process, and the batch that it has."""

    open: "list[Worker]" = []  # noqa: RUF012 - shared on purpose: a forked child must close its copies of the others' pipes

    def __init__(self) -> None:
        self.slot = mmap(-1, SLOT_BYTES)
        self.task: Task | None = None
        self.open.append(self)
        self._spawn()

    def _spawn(self) -> None:
        self.pipe, theirs = get_context("fork").Pipe()
        self.process = get_context("fork").Process(target=_serve, args=(theirs, self.slot), daemon=True)
        self.process.start()
        theirs.close()

    def start(self, task: Task) -> "Worker":
        """Give the worker a batch."""
        self.task = task
        try:
            _send(self.pipe, self.slot, task)
        except OSError:  # it died while it was idle; result() will see the pipe's end
            pass
        return self

    def result(self) -> tuple[int, Converted | None]:
        """The batch's number and what became of it; None when the process had died and the batch is being tried again."""
        assert self.task is not None
        try:
            found = _receive(self.pipe, self.slot)
        except (EOFError, OSError):
            self._again(self.task)
            return self.task.number, None
        return self.task.number, unwrap(found)

    def _again(self, task: Task) -> None:
        self.process.join()
        code = self.process.exitcode or 0
        self.pipe.close()
        if task.tries == TRIES:
            died = f"was ended by signal {-code} ({signal.Signals(-code).name})" if code < 0 else f"ended with exit code {code}"
            hint = "the system may have run out of memory: use fewer processes; if it was a crash, the rows named here cause it"
            what = f"a worker process {died} while it converted {task.batch}; so did the one that tried again"
            raise UserError(Problem(Mark(task.batch.file, task.batch.line), what, hint, "worker-died"))
        self._spawn()
        self.start(task._replace(tries=task.tries + 1))

    def stop(self) -> None:
        """End the process, whatever it is at."""
        self.open.remove(self)
        self.pipe.close()
        self.process.kill()
        self.process.join()
        self.process.close()
        self.slot.close()


def _send(pipe: Any, slot: mmap, message: Any) -> None:
    data = pickle.dumps(message, pickle.HIGHEST_PROTOCOL)
    if len(data) > SLOT_BYTES:
        pipe.send(0)
        pipe.send_bytes(data)
        return
    slot[: len(data)] = data
    pipe.send(len(data))


def _receive(pipe: Any, slot: mmap) -> Any:
    size = pipe.recv()
    with memoryview(slot) as view:
        return pickle.loads(view[:size] if size else pipe.recv_bytes())  # noqa: S301 - from our own child


def _serve(pipe: Any, slot: mmap) -> None:
    """A worker's life: convert what comes until the pipe closes."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for worker in Worker.open:
        if hasattr(worker, "pipe"):
            worker.pipe.close()
    while True:
        try:
            task: Task = _receive(pipe, slot)
        except EOFError:
            os._exit(0)
        _send(pipe, slot, attempt(task.spec, task.batch))


def attempt(spec: Spec, batch: Batch) -> Converted | Failed:
    """In a worker: the batch converted, or what went wrong. Without memory the process ends, as it would if the system had ended it."""
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
    """The result; raises what went wrong in the worker: a user's mistake as it was, ours with its traceback."""
    if isinstance(found, Failed):
        raise UserError(*found.problems) if found.problems else RuntimeError(f"in a worker process:\n{found.traceback}")
    return found
