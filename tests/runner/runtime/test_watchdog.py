"""Signs of life, the patience that follows from them, and logs that are cut in the middle."""

import json
import os
import signal
import subprocess
import sys
from functools import partial

import pytest
from recipekit.runner.runtime import child_process
from recipekit.runner.runtime.child_process import run_child
from recipekit.runner.runtime.watchdog import FACTOR, Watchdog, beat
from recipekit.schemas.base.errors import UserError

from ...support.waiting import PATIENCE


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


class Ticking:
    """A clock that stands still until the child hangs; then each look at it takes a fifth of a second, on a machine of any load."""

    def __init__(self, folder) -> None:
        self.folder, self.now = folder, 0.0

    def __call__(self) -> float:
        self.now += 0.2 * (self.folder / "hangs").exists()
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def watchdog(tmp_path, clock):
    (tmp_path / "x.log").touch()
    return Watchdog(tmp_path, "x.log", floor=30, clock=clock)


def test_seconds_without_progress_grow_until_a_heartbeat(watchdog, clock, tmp_path):
    clock.now = 10
    assert watchdog.seconds_since_progress == 10
    beat(tmp_path / "heartbeat")
    assert watchdog.seconds_since_progress == 0


def test_an_event_resets_the_timeout(watchdog, clock):
    clock.now = 25
    watchdog.event({"event": "step"})
    clock.now = 31
    assert watchdog.seconds_since_progress == 6


def test_the_limit_is_ten_times_the_longest_pause(watchdog, clock):
    clock.now = 29
    watchdog.event({"event": "train", "pid": 1})  # loading took 29 seconds: that says nothing about training
    assert watchdog.limit == 30
    for now in (31, 36, 37):
        clock.now = now
        watchdog.event({"event": "step"})
    assert watchdog.limit == FACTOR * 5


def test_log_output_is_a_sign_of_life_outside_of_training(watchdog, clock, tmp_path):
    def logged_at(now):
        clock.now = now
        with (tmp_path / "x.log").open("a") as stream:
            stream.write("Downloading 12%\n")
        return watchdog.seconds_since_progress

    assert logged_at(10) == 0
    watchdog.event({"event": "train", "pid": 1})
    assert logged_at(20) == 10
    watchdog.event({"event": "stage", "name": "save"})
    assert logged_at(30) == 0


@pytest.fixture
def watched_by(monkeypatch):
    """Gives the watchdog of a child another clock."""
    return lambda clock: monkeypatch.setattr(child_process, "Watchdog", partial(Watchdog, clock=clock))


HANGING = """
import faulthandler, json, os, signal, sys, time
faulthandler.register(signal.SIGUSR1)
with open("progress.jsonl", "a") as stream:
    stream.write(json.dumps({"event": "train", "pid": os.getpid()}) + "\\n")
def waits_for_ever():
    open("hangs", "w")
    while True:
        time.sleep(0.05)
        print("a warning", flush=True)
        if signal.sigpending():
            time.sleep(1)
            signal.pthread_sigmask(signal.SIG_UNBLOCK, signal.sigpending())
HABIT
waits_for_ever()
"""


@pytest.mark.parametrize(
    "habit",
    ["", "signal.signal(signal.SIGTERM, signal.SIG_IGN)", "signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])"],
    ids=["ends when it is asked to", "ends when it is killed", "is slow to answer"],
)
def test_a_hanging_trainer_is_ended_with_its_stack(tmp_path, monkeypatch, watched_by, habit):
    watched_by(Ticking(tmp_path))
    monkeypatch.setattr("recipekit.runner.runtime.child_process._PATIENCE_SECONDS", 0.5)
    monkeypatch.setattr("recipekit.runner.runtime.child_process._STACK_SECONDS", PATIENCE)
    pids = []
    text = HANGING.replace("HABIT", habit)
    with pytest.raises(UserError) as caught:
        run_child((sys.executable, "-c", text), tmp_path, {}, "x.log", "training", lambda event: None, 1, pids.append)
    (problem,) = caught.value.problems
    assert "training made no progress for 1 seconds" in problem.what
    assert "recipe resume" in problem.hint
    assert "waits_for_ever" in (tmp_path / "x.log").read_text()
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)


def test_processes_waiting_for_a_dead_trainer_end(tmp_path, watched_by):
    gone = subprocess.Popen(["true"])
    gone.wait()
    text = (
        "import json, time\n"
        f"open('progress.jsonl', 'a').write(json.dumps({{'event': 'train', 'pid': {gone.pid}}}) + '\\n')\n"
        "open('hangs', 'w')\ntime.sleep(600)"
    )
    watched_by(Ticking(tmp_path))
    with pytest.raises(UserError, match="training made no progress for 1 seconds"):
        run_child((sys.executable, "-c", text), tmp_path, {}, "x.log", "training", lambda event: None, 1)


def test_a_child_with_a_heartbeat_is_never_killed(tmp_path, watched_by):
    beats = set()

    def half_of_what_is_too_long_a_beat():
        if (tmp_path / "heartbeat").exists():
            beats.add((tmp_path / "heartbeat").stat().st_mtime_ns)
        if len(beats) > 5:
            (tmp_path / "seen").touch()
        return 0.45 * len(beats)

    watched_by(half_of_what_is_too_long_a_beat)
    text = "import os, time\nopen('heartbeat', 'w')\nwhile not os.path.exists('seen'):\n    time.sleep(0.1)\n    os.utime('heartbeat')"
    run_child((sys.executable, "-c", text), tmp_path, {}, "x.log", "training", lambda event: None, 1)


def test_a_child_that_is_stopping_is_not_killed(tmp_path, watched_by):
    """A checkpoint may take longer than any step did."""
    text = (
        "import json, os, signal, sys, time\n"
        "def stop(*_):\n    time.sleep(1)\n    open('checkpoint', 'w')\n    sys.exit(130)\n"
        "signal.signal(signal.SIGTERM, stop)\n"
        "open('progress.jsonl', 'a').write(json.dumps({'event': 'train', 'pid': os.getpid()}) + '\\n')\ntime.sleep(600)"
    )
    clock = Clock()
    watched_by(clock)

    def stop_ourselves(event):
        clock.now = 1e9  # after which a child that was not told to stop would be ended
        os.kill(os.getpid(), signal.SIGTERM)

    with pytest.raises(UserError):
        run_child((sys.executable, "-c", text), tmp_path, {}, "x.log", "training", stop_ourselves, 0.5)
    assert (tmp_path / "checkpoint").exists()
    assert json.loads((tmp_path / "progress.jsonl").read_text())["event"] == "train"
