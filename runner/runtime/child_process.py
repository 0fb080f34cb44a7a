"""Run a child process of a run: without a shell, following its progress file, and never leaving it behind."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from types import FrameType
from typing import Any

from ...schemas.base.errors import Interrupted, Problem, UserError
from .checkpoints import SAVED
from .child_environment import child_environment
from .child_log import ChildLog
from .progress import Follower
from .run_files import PROGRESS
from .watchdog import FLOOR_SECONDS, Watchdog

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 60
_TAIL = 12
_TAIL_BYTES = 1 << 20
_STACK, _STACK_SECONDS = b"(most recent call first):", 5  # what faulthandler writes, and how long it may take

_NO_MEMORY = "the model does not fit in memory"
_AFTER_TRAINING = ("the evaluation", "a probe", "merging", "the prediction")
_MORE_MEMORY = "end other programs that use the memory, or repeat the command on a machine with more: what was trained is kept"

_unheeded: list[int] = []  # the signal that asked the last child to stop, which ended well all the same

# what a log contains -> the cause, and what to do
_CAUSES = (
    (re.compile(r"OutOfMemoryError|CUDA out of memory|DefaultCPUAllocator: can't allocate"), _NO_MEMORY,
     "halve training.micro_batch_size and double gradient_accumulation_steps, set gradient_checkpointing: true, or use adapter: qlora"),
    (re.compile(r"Signal 9 \(SIGKILL\) received by PID"), "one of its processes was killed, and the others ended",
     "the system may have run out of memory: see its log, use smaller batches, then `recipe resume`"),
    (re.compile(r"GatedRepoError|401 Client Error|Access to model .* is restricted"), "the model is gated",
     "accept its licence on its page, then log in with `hf auth login`"),
    (re.compile(r"RepositoryNotFoundError|is not a valid model identifier|Repository Not Found|Can't load the \w+ (of|for) '"),
     "no such model, or the hub cannot be reached", "check model.base_model"),
    (re.compile(r"couldn't connect to|Connection error|MaxRetryError|OfflineModeIsEnabled|LocalEntryNotFoundError"),
     "the model hub cannot be reached", "connect to the network, set model.base_model to a folder, or use embedded:smollm2-135m-instruct"),
    (re.compile(r"No space left on device|Errno 28"), "no space left on the device", "free some space, then `recipe resume`"),
    (re.compile(r"Disk quota exceeded|Errno 122"), "the disk quota is exhausted", "free some space, then `recipe resume`"),
    (re.compile(r"Connection closed by peer|Connection reset by peer|remote process exited"),
     "another of its processes or machines ended", "see its log, then `recipe resume`, and `recipe join` on the other machines"),
    (re.compile(r"No module named '(\w+)'"), "a package is missing", "pip install 'recipekit[train]'"),
)  # fmt: skip


def run_child(
    argv: tuple[str, ...],
    folder: Path,
    env: dict[str, str],
    log: str,
    what: str,
    on_event: Callable[[dict[str, Any]], None],
    hang_timeout: float = FLOOR_SECONDS,
    on_start: Callable[[int], None] = lambda pid: None,
) -> None:
    """Run a command in `folder`, with its output in `log`. Its progress events go to `on_event` as they come, its pid to `on_start`.

    Once it says that everything is saved, how it ends does not matter: processes that trained together, or a tracker, may still abort or
    hang while they are taken down. That is said, and what was saved is used.

    Ctrl-C, SIGTERM and SIGHUP ask it to stop (a trainer writes a checkpoint first) and raise Interrupted; Ctrl-C after that kills it. If it
    ends well all the same, what it has done can be recorded: `stop_if_asked` raises Interrupted, here before the next child.
    Raises UserError with the cause and the end of the log if it fails, or if it makes no progress for `hang_timeout` seconds.
    """
    stop_if_asked(folder)
    progress = _Progress(folder, Watchdog(folder, log, hang_timeout), on_event)
    environment = child_environment(env)
    with closing(ChildLog(folder / log, environment)) as output:
        process = _start(argv, folder, environment, output)
        on_start(process.pid)
        with _forwarding(process) as received:
            hung = _wait(process, output, progress, received)
        _end_group(process)
        progress.read()
    if process.returncode == 0 or progress.is_saved:
        if hung or process.returncode:
            ending = hung or f"ended {_death(process.returncode)}"
            on_event({"event": "log", "what": f"{what} {ending} after everything was saved: nothing is lost; see {folder / log}"})
        _unheeded[:] = received[:1]
        return
    if hung:
        hint = f"the end of {folder / log} shows where; to resume from the newest checkpoint: recipe resume {folder}"
        raise UserError(Problem(folder / log, f"{what} {hung}", hint, "hung"))
    if received:
        stopped = f"{what} was stopped by {signal.Signals(received[0]).name}"
        raise Interrupted(Problem("", stopped, f"recipe resume {folder}", "interrupted"))
    raise failure(what, process.returncode, folder / log, progress.refused)


def stop_if_asked(folder: Path) -> None:
    """Raise Interrupted if a signal asked the last child to stop, and it ended well: it had nothing left to do."""
    if _unheeded:
        name = signal.Signals(_unheeded.pop()).name
        raise Interrupted(Problem("", f"the run was stopped by {name}", f"recipe resume {folder}", "interrupted"))


class _Progress:
    """The events that the child has written to its progress file, which also show that it is alive."""

    def __init__(self, folder: Path, watchdog: Watchdog, on_event: Callable[[dict[str, Any]], None]) -> None:
        self.follower, self.watchdog, self.on_event = Follower(folder / PROGRESS), watchdog, on_event
        self.refused: list[str] = []
        self.is_saved = False

    def read(self) -> None:
        """Pass on the new events."""
        for event in self.follower.new():
            if event["event"] == "refused":
                self.refused.append(event["what"])
            self.is_saved |= event["event"] == SAVED
            self.watchdog.event(event)
            self.on_event(event)


def _start(argv: tuple[str, ...], folder: Path, environment: dict[str, str], log: ChildLog) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        argv, cwd=folder, env=environment, stdout=log.output, stderr=log.output, stdin=subprocess.DEVNULL,
        start_new_session=True, preexec_fn=_die_with_parent,
        close_fds=False,  # the child inherits the run's lock: while it runs, no second trainer can start
    )  # fmt: skip


def _wait(process: subprocess.Popen[bytes], log: ChildLog, progress: _Progress, received: list[int]) -> str:
    """Wait until the child ends, and end it if it hangs. Return what was observed of a hang, or ""."""
    hung, watchdog = "", progress.watchdog
    while process.poll() is None:
        progress.read()
        if note := log.revive():
            progress.on_event({"event": "log", "what": note})
        if not received and not hung and watchdog.seconds_since_progress > watchdog.limit:
            hung = _end_hung(process, watchdog)
        with suppress(subprocess.TimeoutExpired):
            process.wait(_POLL_SECONDS)
    return hung


def failure(what: str, code: int, log: Path, refused: list[str]) -> UserError:
    """Return why a child failed: its own message, a known cause in its log, or the log's last lines."""
    if refused:
        return UserError(*(Problem("", line, rule="refused") for text in refused for line in text.splitlines()))
    output = _end_of(log).decode("utf-8", "replace").replace("\r", "\n")
    lines = [line for line in output.splitlines() if line.strip()]
    text = "\n".join(lines[-40:])
    end = "\n".join(f"    | {line[:200]}" for line in lines[-_TAIL:])
    for pattern, cause, hint in _CAUSES:
        if pattern.search(text):
            found = next((line for line in reversed(lines) if pattern.search(line)), lines[-1]).strip()
            if cause == _NO_MEMORY and what in _AFTER_TRAINING:
                hint = _MORE_MEMORY
            return UserError(Problem(log, f"{what} failed: {cause}\n    | {found[:300]}", hint, "child-failed"))
    hint = "the system killed it, probably for lack of memory: use smaller batches" if code == -signal.SIGKILL else ""
    return UserError(Problem(log, f"{what} ended {_death(code)}\n{end}", hint, "child-failed"))


def _death(code: int) -> str:
    return f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"


@contextmanager
def _forwarding(process: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """Forward the first stop signal to the child as SIGTERM while the block runs; Ctrl-C after that kills its whole group.

    Another SIGTERM or SIGHUP changes nothing: timeout(1), systemd and Slurm send it to a process and to its group, and kill it themselves
    when they have waited long enough.
    """
    received: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if process.poll() is None:
            if len(received) == 1:
                process.terminate()  # not the group: data loader processes would die, and the current step would fail
            elif number == signal.SIGINT:
                os.killpg(process.pid, signal.SIGKILL)

    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    numbers = [number for number in wanted if signal.getsignal(number) != signal.SIG_IGN]  # keep nohup's setting
    before = {number: signal.signal(number, forward) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if process.poll() is None:  # this process failed: let the child write a checkpoint
            process.terminate()
            try:
                process.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _end_hung(process: subprocess.Popen[bytes], watchdog: Watchdog) -> str:
    """End a child that makes no progress, and return what was observed. A trainer first writes its stack traces to its log."""
    seconds, longest = watchdog.seconds_since_progress, watchdog.longest_step
    seen = f"made no progress for {seconds:,.0f} seconds (longest pause before: {longest:,.1f}) and was stopped"
    if watchdog.trainer:
        with suppress(ProcessLookupError):  # the trainer may be gone while its launcher still waits
            os.kill(watchdog.trainer, signal.SIGUSR1)
            _await_stack(watchdog.log)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    return seen


def _await_stack(log: Path) -> None:
    """Give the trainer time to write its stack: on a busy machine it may be slow to begin, and ended before that it writes none."""
    deadline = time.monotonic() + _STACK_SECONDS
    while time.monotonic() < deadline and not (log.exists() and _STACK in _end_of(log)):
        time.sleep(_POLL_SECONDS)
    time.sleep(_POLL_SECONDS)  # for the rest of it


def _end_of(log: Path) -> bytes:
    """The last part of a log, which may be of any size."""
    with log.open("rb") as stream:
        stream.seek(max(log.stat().st_size - _TAIL_BYTES, 0))
        return stream.read()


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """Kill the child's group: its workers would outlive it and keep the run's lock."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _die_with_parent() -> None:
    """Send SIGTERM to a trainer whose runner was killed, so that it writes a checkpoint instead of running on unseen."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
