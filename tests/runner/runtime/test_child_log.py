"""A child whose log's writer dies neither waits for it nor fails, and the log and the screen say what happened."""

import os
import signal
import sys
from pathlib import Path

import pytest
from recipekit.runner.runtime.child_process import run_child
from recipekit.schemas.base.errors import UserError

from ...support.waiting import process_state, wait_until

# More than a pipe holds, before and after its writer is killed.
TALKATIVE = """
import json, os, time
print("first" * 20_000, flush=True)
with open("progress.jsonl", "a") as stream:
    stream.write(json.dumps({"event": "ready"}) + "\\n")
while not os.path.exists("killed"):
    time.sleep(0.01)
for n in range(20_000):
    print("line", n)
"""


def writers() -> list[int]:
    """The processes that write logs for this one."""
    found = []
    for path in Path("/proc").glob("[0-9]*"):
        try:
            parent = int(path.joinpath("stat").read_text().rpartition(")")[2].split()[1])
            if parent == os.getpid() and b"log_writer" in path.joinpath("cmdline").read_bytes():
                found.append(int(path.name))
        except OSError:
            continue
    return found


def test_a_writer_that_is_killed_is_replaced_and_both_say_so(tmp_path):
    events = []

    def follow(event):
        events.append(event)
        if event["event"] == "ready":
            (writer,) = writers()
            os.kill(writer, signal.SIGKILL)
            (tmp_path / "killed").touch()

    run_child((sys.executable, "-c", TALKATIVE), tmp_path, {}, "x.log", "training", follow)
    note = "the process that writes the log ended by SIGKILL and was restarted; lines may be missing here"
    text = (tmp_path / "x.log").read_text()
    assert f"[... {note} ...]" in text
    assert text.endswith("line 19998\nline 19999\n")
    assert [event for event in events if event["event"] == "log"] == [{"event": "log", "what": note}]
    assert writers() == []


def test_a_writer_that_is_killed_at_the_end_loses_nothing_that_is_still_in_the_pipe(tmp_path):
    def stop_the_writer(event):
        (writer,) = writers()
        os.kill(writer, signal.SIGSTOP)
        wait_until(lambda: process_state(writer) == "T")  # until then it may still take the last words out of the pipe
        (tmp_path / "stopped").touch()
        wait_until((tmp_path / "done").exists)
        os.kill(writer, signal.SIGKILL)

    text = TALKATIVE.split("while not")[0] + (
        "while not os.path.exists('stopped'):\n    time.sleep(0.01)\nprint('the last words', flush=True)\nopen('done', 'w')"
    )
    run_child((sys.executable, "-c", text), tmp_path, {}, "x.log", "training", stop_the_writer)
    assert "the last words" in (tmp_path / "x.log").read_text()


def test_a_child_is_ended_when_no_writer_can_write_its_log(tmp_path):
    (tmp_path / "x.log").mkdir()
    pids = []
    endless = "while True:\n    print('line')"
    with pytest.raises(UserError, match=r"x\.log: the process that writes the log ended with exit code 1, for the 5th time"):
        run_child((sys.executable, "-c", endless), tmp_path, {}, "x.log", "training", lambda event: None, on_start=pids.append)
    with pytest.raises(ProcessLookupError):
        os.kill(pids[0], 0)
