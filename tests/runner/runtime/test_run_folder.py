"""A run's directory: its name, state and lock, with real processes that hold it and are killed."""

import fcntl
import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest
from recipekit.runner.reporting.run_summary import run_summary
from recipekit.runner.runtime import run_folder
from recipekit.runner.runtime.child_requests import MergeRequest
from recipekit.runner.runtime.machine import Machine
from recipekit.runner.runtime.run_files import LOCK, MERGE_REQUEST, METRICS, ORIGINS, STATUS, Lock, LockedBatch, LockedMachine, LockedModel
from recipekit.runner.runtime.run_folder import RunFolder, create
from recipekit.runner.runtime.working_time import working_seconds
from recipekit.schemas.base.errors import UserError

from ...support.run_files import lock_with

STOPPED = {"started": 1000.0, "updated": 1090.0, "spent": 10.0}


@pytest.mark.parametrize(("state", "seconds"), [("interrupted", 100), ("running", 210)], ids=["stopped", "killed"])
def test_the_time_between_an_end_and_its_resumption_is_not_counted(tmp_path, monkeypatch, state, seconds):
    """Of a process that was killed, the last sign of progress is known."""
    run = RunFolder(tmp_path)
    run.write(STATUS, {"state": state, "stages": {}, **STOPPED})  # pyright: ignore[reportArgumentType]
    (tmp_path / "heartbeat").touch()
    os.utime(tmp_path / "heartbeat", (1200, 1200))
    monkeypatch.setattr(run_folder, "time", SimpleNamespace(time=lambda: 5000.0))
    with pytest.raises(ZeroDivisionError), run.locked(), run.recording_outcome():
        assert working_seconds(tmp_path, run.status, 5030.0) == seconds + 30
        raise ZeroDivisionError
    assert working_seconds(tmp_path, run.status) == seconds, "it ended as it began"
    assert run_summary(run)["seconds"] == seconds


HOLDER = """
import sys, time
from pathlib import Path
from recipekit.runner.runtime.run_folder import RunFolder
with RunFolder(Path(sys.argv[1])).locked():
    print("locked", flush=True)
    time.sleep(600)
"""


@pytest.fixture
def holder(tmp_path):
    """Starts a process that holds the lock of tmp_path."""
    process = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout and process.stdout.readline() == "locked\n"
    yield process
    process.kill()
    process.communicate()


def test_partial_files_are_removed_when_the_run_is_locked(tmp_path):
    ended = subprocess.Popen(["true"])
    ended.wait()
    kept = [f".metrics.json.{os.getpid()}.tmp", ".mine.tmp", "timing.json"]
    for name in (f".timing.json.{ended.pid}.tmp", *kept):
        (tmp_path / name).write_text("{")
    (tmp_path / f".eval.{ended.pid}.tmp").mkdir()
    with RunFolder(tmp_path).locked():
        assert sorted(path.name for path in tmp_path.iterdir()) == sorted([*kept, "lock"])


def test_a_second_process_is_refused_and_the_holder_is_named(tmp_path, holder):
    assert RunFolder(tmp_path).is_locked()
    with pytest.raises(UserError, match=f"is in use by process {holder.pid} on {os.uname().nodename}"), RunFolder(tmp_path).locked():
        pytest.fail("it came in")


def test_the_refused_process_leaves_the_holders_name(tmp_path, holder):
    before = (tmp_path / "lock").read_text()
    with pytest.raises(UserError), RunFolder(tmp_path).locked():
        pass
    assert (tmp_path / "lock").read_text() == before


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_the_lock_of_a_process_that_was_killed_is_free(tmp_path, holder, number):
    holder.send_signal(number)
    holder.wait()
    assert not RunFolder(tmp_path).is_locked()
    with RunFolder(tmp_path).locked():
        assert (tmp_path / "lock").read_text() == f"process {os.getpid()} on {os.uname().nodename}"


def test_the_refusal_names_processes_that_the_killed_holder_left(tmp_path):
    """The trainer of a killed command keeps the lock until its checkpoint is written."""
    with RunFolder(tmp_path).locked():
        left = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE, close_fds=False)
        (tmp_path / "lock").write_text("process 999999999 on elsewhere")
        with (
            pytest.raises(UserError, match=f"process 999999999 .*\\n.*processes that it started: {left.pid}"),
            RunFolder(tmp_path).locked(),
        ):
            pass
        left.communicate(b"\n")


def test_a_lock_is_released_when_its_block_fails(tmp_path):
    run = RunFolder(tmp_path)
    with pytest.raises(KeyError), run.locked():
        assert run.is_locked()
        raise KeyError
    assert not run.is_locked()


@pytest.mark.parametrize("way", ["removed", "renamed", "removed and made again"])
def test_a_folder_that_is_removed_or_renamed_while_it_is_used_is_named_and_not_made_again(tmp_path, way):
    run = RunFolder(tmp_path / "runs" / "one")
    run.path.mkdir(parents=True)
    run.update(state="running", stages={})
    with (
        pytest.raises(UserError, match="runs/one: was removed or renamed while a command worked on it"),
        run.locked(),
        run.recording_outcome(),
    ):
        run.path.rename(tmp_path / "moved")
        if way.startswith("removed"):
            shutil.rmtree(tmp_path / "moved")
        if way.endswith("again"):
            run.write(STATUS, {"state": "running"})
        (run / "train.log").read_bytes()
    assert [*run.path.parent.rglob("status.json")] == [run / "status.json"] * way.endswith("again")
    if way == "renamed":
        assert RunFolder(tmp_path / "moved").state == "killed"


def test_a_stale_lock_file_is_ignored(tmp_path):
    (tmp_path / "lock").write_text(f"process {os.getppid()} on {os.uname().nodename}")
    assert not RunFolder(tmp_path).is_locked()


def test_missing_files_are_not_found(tmp_path):
    assert RunFolder(tmp_path).find(METRICS) is None
    assert RunFolder(tmp_path).status == {}
    with pytest.raises(UserError, match=r"eval/metrics\.json: does not exist"):
        RunFolder(tmp_path).read(METRICS)


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b'{"state": "done"', b"\x00" * 40, b"\xff\xfe", b"[]", b'"done"', b'{"state": "well"}', b'{"stages": {"data": 1}}'],
)
def test_a_damaged_file_is_reported_without_a_traceback(tmp_path, content):
    (tmp_path / "status.json").write_bytes(content)
    with pytest.raises(UserError, match=r"status\.json: is damaged"):
        _ = RunFolder(tmp_path).status


def test_update_changes_fields_and_the_time(tmp_path):
    run = RunFolder(tmp_path)
    run.update(state="running", stages={"data": "a"})
    run.update(state="done")
    assert run.status.pop("updated") > 1.7e9
    assert {key: run.status[key] for key in ("state", "stages")} == {"state": "done", "stages": {"data": "a"}}


def test_a_write_leaves_no_temporary_file(tmp_path):
    RunFolder(tmp_path).write(ORIGINS, {"a": "1"})
    assert [path.name for path in tmp_path.rglob("*")] == ["origins.json"]
    assert json.loads((tmp_path / "origins.json").read_bytes()) == {"a": "1"}


def test_a_new_run_has_a_folder_of_its_own_that_only_its_user_can_enter(tmp_path):
    run = create("quick", "0123456789", tmp_path)
    assert run.path.parent == tmp_path / "quick"
    assert run.path.name.endswith("-012345")
    assert run.path.stat().st_mode & 0o777 == 0o700


def test_runs_that_begin_in_the_same_second_get_different_folders(tmp_path):
    made: list[Path] = []
    threads = [threading.Thread(target=lambda: made.append(create("quick", "abcdef", tmp_path).path)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 8


def test_a_new_run_comes_after_all_others_even_if_the_clock_was_set_back(tmp_path):
    """At the end of summer time an hour comes twice; the newest run must be the one that was begun last."""
    for name in ("notes", "20990101-235959-abcdef", "20250101-000000-abcdef", "99999999-999999-x"):
        (tmp_path / "quick" / name).mkdir(parents=True)
    made = [create("quick", key, tmp_path).path.name for key in ("ffffff", "aaaaaa")]
    assert made == ["20990102-000000-ffffff", "20990102-000001-aaaaaa"]


def test_a_run_that_is_only_looked_at_can_be_started(tmp_path, monkeypatch):
    """`recipe runs` holds the lock for a moment, to see whether it is free."""
    (tmp_path / "lock").touch()
    looking = (tmp_path / "lock").open("rb")
    fcntl.flock(looking, fcntl.LOCK_SH)
    monkeypatch.setattr("recipekit.runner.runtime.run_folder.time.sleep", lambda seconds: looking.close())
    with RunFolder(tmp_path).locked():
        assert looking.closed


def test_looking_at_a_lock_writes_nothing(tmp_path):
    assert not RunFolder(tmp_path).is_locked() and [*tmp_path.iterdir()] == []
    with RunFolder(tmp_path).locked():
        (tmp_path / "lock").chmod(0o400)
        assert RunFolder(tmp_path).is_locked()


def test_an_unwritable_path_is_reported(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot be written"):
        create("quick", "abcdef", tmp_path / "file")


def test_only_messages_of_run_files_are_redacted(tmp_path, monkeypatch):
    """A password can be a word that is also in a path, or digits that are also in a hash."""
    monkeypatch.setenv("DB_PASSWORD", "models")
    monkeypatch.setenv("PIN_KEY", "123456")
    run = RunFolder(tmp_path)
    run.update(state="failed", reason="wrong password: models", stages={"train": "ab123456ef"}, file="/data/models/a.yml")
    assert run.stages == {"train": "ab123456ef"} and run.status["file"] == "/data/models/a.yml"
    assert run.status["reason"] == "wrong password: [redacted]"
    model = {"path": "/data/models/base", "identity": "sha256:0123456", "note": "/data/models/base"}
    lock = Lock(
        recipekit="1",
        python="3",
        packages={},
        variables={"DATA": "/data/models"},
        model=LockedModel(**model),
        machine=LockedMachine(**Machine()._asdict()),
        batch=LockedBatch(micro_batch_size=1, gradient_accumulation_steps=1, processes=1, why="training.micro_batch_size"),
        train_key="123456",
    )
    run.write(LOCK, lock)
    assert run.read(LOCK) == {**lock, "variables": {"DATA": "/data/[redacted]"}}
    request = MergeRequest(folder="/runs/models", config="123456")
    run.write(MERGE_REQUEST, request)
    assert run.read(MERGE_REQUEST) == request


def test_a_lock_has_every_fact_of_the_machine():
    assert [*LockedMachine.__annotations__] == [*Machine._fields]


def test_a_lock_with_half_a_machine_is_damaged(tmp_path):
    (tmp_path / LOCK.name).write_text(json.dumps(lock_with(machine={"cores": 2})))
    with pytest.raises(UserError, match="is damaged: Object missing required field `device`"):
        RunFolder(tmp_path).find(LOCK)
