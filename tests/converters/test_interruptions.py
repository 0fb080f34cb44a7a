"""A conversion that is killed or refused by the disk at any of its steps leaves the complete old folder or the complete new one.

strace makes the n-th system call of a kind fail, or kills the process there, for every n until a run comes through.
"""

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from ..support.chats import chats, contents
from ..support.jsonl import write_jsonl
from ..support.waiting import PATIENCE

CONVERT = """
import sys
from pathlib import Path
from recipekit.converters.building.pipeline import build
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Data, Source, Split
data = Data("chat", (Source(sys.argv[1], "messages"),), split=Split(0.2, 0.2))
try:
    build(data, Path(sys.argv[2]), processes=int(sys.argv[3]), batch_bytes=4000)
except UserError as error:
    sys.exit(str(error))
"""
MOST = 60
STRACE = ("strace", "-f", "-qq", "-o")


@pytest.fixture(scope="module")
def trace():
    """Runs a command under strace with a fault injected; skips where processes may not be traced."""
    if not shutil.which("strace"):
        pytest.skip("strace is not installed")
    tried = subprocess.run(["strace", "-qq", "-o", os.devnull, "true"], capture_output=True, text=True)
    if tried.returncode:
        pytest.skip(f"strace cannot trace here: {tried.stderr.strip()}")

    def run(injection, *arguments, processes=1, path=None):
        only = ["-P", str(path)] if path else []
        call = injection.partition(":")[0]
        argv = [
            *STRACE,
            os.devnull,
            *only,
            "-e",
            f"trace={call}",
            "-e",
            f"inject={injection}",
            *converting(*arguments, processes=processes),
        ]
        return subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE)

    return run


def converting(rows, out, processes=1):
    return [sys.executable, "-B", "-c", CONVERT, str(rows), str(out), str(processes)]


@pytest.fixture(scope="module")
def converted(tmp_path_factory):
    """Rows of two conversions, what both give, and the folder that the first has left."""
    folder = tmp_path_factory.mktemp("converted")
    old, new = write_jsonl(folder / "old.jsonl", chats(30)), write_jsonl(folder / "rows.jsonl", chats(60, 10))
    for rows, name in ((old, "old"), (new, "new")):
        subprocess.run(converting(rows, folder / name), check=True)
    return new, folder / "old", contents(folder / "old"), contents(folder / "new")


@pytest.fixture
def states(converted, tmp_path):
    """Rows, the folder that an earlier conversion of other rows has left, and what both conversions give."""
    rows, left, old, new = converted
    shutil.copytree(left, tmp_path / "work" / "out")
    return Path(shutil.copy(rows, tmp_path)), tmp_path / "work" / "out", old, new


@pytest.mark.parametrize("call", ["write", "fsync", "rename", "renameat2", "openat", "mkdir", "unlink"])
def test_killed_at_any_step_it_leaves_the_old_folder_or_the_new_one(trace, states, call):
    rows, out, old, new = states
    killed = 0
    for step in steps(call, rows, out):
        result = trace(f"{call}:signal=KILL:when={step}", rows, out)
        assert contents(out) in (old, new)
        if result.returncode == 0:
            break
        killed += 1
    else:
        pytest.fail(f"no run came through in {MOST} steps")
    assert contents(out) == new
    assert os.listdir(out.parent) == ["out"], "what the killed ones left is swept"
    assert killed or call in ("rename", "unlink", "mkdir")


def steps(call, rows, out):
    """Which of the calls to disturb: all, until a run comes through. Opening files happens hundreds of times while Python starts: there
    the ones in the folder of the output, as a run that nothing disturbs makes them."""
    if call != "openat":
        return range(1, MOST)
    whole, log = shutil.copytree(out, out.parent.parent / "whole" / out.name), out.parent.parent / "calls"
    subprocess.run([*STRACE, log, "-e", f"trace={call}", *converting(rows, whole)], check=True)
    calls = [line for line in log.read_text().splitlines() if f" {call}(" in line]
    ours = [number for number, line in enumerate(calls, 1) if str(whole.parent) in line]
    assert len(ours) > 10
    return [*ours, len(calls) + 1000]


@pytest.mark.parametrize(("call", "number"), [("write", "ENOSPC"), ("write", "EDQUOT"), ("fsync", "EIO")])
def test_a_full_disk_keeps_the_old_folder(trace, states, call, number):
    rows, out, old, new = states
    refused = 0
    for step in range(1, MOST):
        result = trace(f"{call}:error={number}:when={step}", rows, out)
        if result.returncode == 0:
            break
        refused += 1
        assert "cannot be written" in result.stderr
        assert "Traceback" not in result.stderr
        assert contents(out) in (old, new)
        assert os.listdir(out.parent) == ["out"]
    assert refused
    assert contents(out) == new


@pytest.mark.parametrize("processes", [1, 2])
@pytest.mark.parametrize(("call", "number"), [("read", "EIO"), ("openat", "EMFILE"), ("openat", "EACCES")])
def test_an_unreadable_input_is_reported_and_the_old_folder_kept(trace, states, call, number, processes):
    rows, out, old, new = states
    refused = 0
    for step in range(1, 30):
        result = trace(f"{call}:error={number}:when={step}", rows, out, path=rows, processes=processes)
        if result.returncode == 0:
            break
        refused += 1
        assert result.stderr.startswith(str(rows)) or result.stderr.startswith(rows.name)
        assert "cannot be read" in result.stderr
        assert "Traceback" not in result.stderr
        assert contents(out) == old
        assert os.listdir(out.parent) == ["out"]
    assert refused
    assert contents(out) == new


@pytest.mark.parametrize(("call", "step"), [("write", 1), ("write", 2), ("fsync", 1), ("read", 1), ("read", 2)])
def test_a_call_interrupted_by_a_signal_is_retried(trace, states, call, step):
    rows, out, _, new = states
    of_source = rows if call == "read" else None  # the dynamic loader does not repeat its own reads
    assert trace(f"{call}:error=EINTR:when={step}", rows, out, path=of_source).returncode == 0
    assert contents(out) == new


@pytest.mark.parametrize("number", ["EROFS", "EDQUOT", "EACCES"])
def test_an_impossible_folder_is_reported(trace, states, number):
    rows, out, old, _ = states
    result = trace(f"mkdir:error={number}:when=1", rows, out)
    assert "cannot be written" in result.stderr
    assert "Traceback" not in result.stderr
    assert contents(out) == old


LIMITED = """
import resource, sys
from pathlib import Path
import recipekit.converters.building.pipeline
now = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (now + (40 + 32 * int(sys.argv[3]) << 20),) * 2)
"""


@pytest.mark.parametrize("processes", [1, 2])
def test_rows_that_do_not_fit_into_memory_are_named_and_nothing_is_published(states, processes):
    """Three megabytes of empty lists take twenty times as much when they are parsed."""
    rows, out, old, _ = states
    with rows.open("ab") as stream:
        stream.write(b'{"messages": [' + b"[]," * (1 << 20) + b"[]]}\n")
    argv = [sys.executable, "-B", "-c", LIMITED + CONVERT, str(rows), str(out), str(processes)]
    result = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE)
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "memory" in result.stderr and f"{rows.name}:" in result.stderr
    assert contents(out) == old
    assert os.listdir(out.parent) == ["out"]


def test_silently_lost_writes_are_detected(trace, states):
    rows, out, old, _ = states
    result = trace("write:retval=100:when=1", rows, out)
    assert "bytes were written, but the file has" in result.stderr
    assert contents(out) == old


@pytest.mark.parametrize("processes", [1, 2])
def test_after_a_kill_a_second_run_gives_the_same_bytes(states, tmp_path, processes):
    rows, out, old, new = states
    for delay in (0.05, 0.15, 0.2, 0.25, 0.3):
        process = subprocess.Popen(converting(rows, out, processes), stderr=subprocess.DEVNULL)
        time.sleep(delay)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert contents(out) in (old, new)
    subprocess.run(converting(rows, out, processes), check=True)
    assert contents(out) == new
    assert os.listdir(out.parent) == ["out"]
