"""A child process of a run: started without a shell, followed through its progress file, never left behind."""

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

from ...schemas.base.errors import Interrupted, Location, Problem, UserError
from .child_log import ChildLog
from .progress import Follower
from .watchdog import FLOOR_SECONDS, Watchdog

_PR_SET_PDEATHSIG = 1
_POLL_SECONDS = 0.2
_PATIENCE_SECONDS = 60
_TAIL = 12
_TAIL_BYTES = 1 << 20

# what a log says -> what to do about it
_CAUSES = (
    (re.compile(r"OutOfMemoryError|CUDA out of memory|DefaultCPUAllocator: can't allocate"), "the model does not fit in memory",
     "halve training.micro_batch_size and double gradient_accumulation_steps, set gradient_checkpointing: true, or use adapter: qlora"),
    (re.compile(r"Signal 9 \(SIGKILL\) received by PID"), "one of its processes was killed, and the others have ended",
     "the system kills for memory: see its log, use smaller batches; then `recipe resume`"),
    (re.compile(r"GatedRepoError|401 Client Error|Access to model .* is restricted"), "the model is gated",
     "accept its licence on its page, then log in with `hf auth login`"),
    (re.compile(r"RepositoryNotFoundError|is not a valid model identifier|Repository Not Found|Can't load the \w+ (of|for) '"),
     "there is no such model, or the hub cannot be reached", "check model.base_model"),
    (re.compile(r"couldn't connect to|Connection error|MaxRetryError|OfflineModeIsEnabled|LocalEntryNotFoundError"),
     "the model hub cannot be reached", "connect, give a folder as model.base_model, or use embedded:smollm2-135m-instruct"),
    (re.compile(r"No space left on device|Errno 28"), "no space left on the device", "free some space, then `recipe resume`"),
    (re.compile(r"Connection closed by peer|Connection reset by peer|remote process exited"),
     "another of its processes or machines has ended", "see the other's log; then `recipe resume`, and on further machines `recipe join`"),
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
    """Run a command in `folder`, its output in `log`, its progress events given to `on_event` as they come, its pid to `on_start`.

    Ctrl-C, SIGTERM and SIGHUP ask it to stop (a trainer checkpoints first) and raise Interrupted; a second one ends it at once.
    Raises UserError with the cause and the end of the log when it fails, or when it shows no sign of life for `hang_timeout` seconds.
    """
    follower = Follower(folder / "progress.jsonl")
    watchdog = Watchdog(folder, log, hang_timeout)
    refused: list[str] = []

    def drain() -> None:
        for event in follower.new():
            if event["event"] == "refused":
                refused.append(event["what"])
            watchdog.event(event)
            on_event(event)

    environment = {**os.environ, **env}
    with closing(ChildLog(folder / log, environment)) as written:
        process = subprocess.Popen(
            argv, cwd=folder, env=environment, stdout=written.output, stderr=written.output, stdin=subprocess.DEVNULL,
            start_new_session=True, preexec_fn=_die_with_parent,
            close_fds=False,  # it holds the run's lock too, so that a trainer whose runner was killed is not joined by another
        )  # fmt: skip
        on_start(process.pid)
        hung = ""
        with _forwarding(process) as received:
            while process.poll() is None:
                drain()
                if note := written.revive():
                    on_event({"event": "log", "what": note})
                if not received and not hung and watchdog.seconds_since_progress > watchdog.limit:
                    hung = _end_hung(process, watchdog)
                try:
                    process.wait(_POLL_SECONDS)
                except subprocess.TimeoutExpired:
                    continue
        _end_group(process)
        drain()
    if hung:
        hint = f"see where it stood at the end of {folder / log}, then go on from its newest checkpoint: recipe resume {folder}"
        raise UserError(Problem(Location(str(folder / log)), f"{what} {hung}", hint, "hung"))
    if received and process.returncode != 0:
        raise Interrupted(
            Problem(Location(""), f"{what} was stopped by {signal.Signals(received[0]).name}", f"recipe resume {folder}", "interrupted")
        )
    if process.returncode != 0:
        raise failure(what, process.returncode, folder / log, refused)


def failure(what: str, code: int, log: Path, refused: list[str]) -> UserError:
    """Why a child failed: what it said itself, else a known cause in its log, else the log's last lines."""
    if refused:
        return UserError(*(Problem(Location(""), line, rule="refused") for text in refused for line in text.splitlines()))
    with log.open("rb") as stream:
        stream.seek(max(log.stat().st_size - _TAIL_BYTES, 0))  # a log may be of any size
        said = stream.read().decode("utf-8", "replace").replace("\r", "\n")
    lines = [line for line in said.splitlines() if line.strip()]
    text = "\n".join(lines[-40:])
    end = "\n".join(f"    | {line[:200]}" for line in lines[-_TAIL:])
    died = f"by signal {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
    for pattern, cause, hint in _CAUSES:
        if pattern.search(text):
            said = next((line for line in reversed(lines) if pattern.search(line)), lines[-1]).strip()
            return UserError(Problem(Location(str(log)), f"{what} failed: {cause}\n    | {said[:300]}", hint, "child-failed"))
    hint = "the system killed it, most likely for memory: use smaller batches" if code == -signal.SIGKILL else ""
    return UserError(Problem(Location(str(log)), f"{what} ended {died}\n{end}", hint, "child-failed"))


@contextmanager
def _forwarding(process: subprocess.Popen[bytes]) -> Iterator[list[int]]:
    """While the block runs, signals that mean stop go to the child as SIGTERM; the second one kills its whole group."""
    received: list[int] = []

    def forward(number: int, frame: FrameType | None) -> None:
        received.append(number)
        if process.poll() is None:
            if len(received) == 1:
                process.terminate()  # not the group: the processes that load its batches would die, and the step with them
            else:
                os.killpg(process.pid, signal.SIGKILL)

    wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
    numbers = [number for number in wanted if signal.getsignal(number) != signal.SIG_IGN]  # nohup means it
    before = {number: signal.signal(number, forward) for number in numbers}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if process.poll() is None:  # we failed, not the child: it may still write a checkpoint
            process.terminate()
            try:
                process.wait(_PATIENCE_SECONDS)
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)
                process.wait()


def _end_hung(process: subprocess.Popen[bytes], watchdog: Watchdog) -> str:
    """End a child that does nothing any more, and say what was seen. A trainer first writes where it stands into its log."""
    seconds, longest = watchdog.seconds_since_progress, watchdog.longest_step
    seen = f"made no progress for {seconds:,.0f} seconds (its longest pause before was {longest:,.1f}) and was ended"
    if watchdog.trainer:
        with suppress(ProcessLookupError):  # the trainer may be gone, and what started it wait for it all the same
            os.kill(watchdog.trainer, signal.SIGUSR1)
            time.sleep(_POLL_SECONDS)
    with suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGTERM)
    try:
        process.wait(_PATIENCE_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
    return seen


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """The workers of a child that was killed outlive it, and would hold the run's lock."""
    try:
        os.killpg(process.pid, signal.SIGKILL)
    except ProcessLookupError:
        return


def _die_with_parent() -> None:
    """A trainer whose runner was killed gets SIGTERM, so that it checkpoints instead of running on unseen."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
