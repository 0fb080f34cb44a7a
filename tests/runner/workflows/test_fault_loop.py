"""Commands that are killed, or refused by the disk, at one operation after another: what is left can always be recovered from.

A part of the loop that `python -m tests.support.fault_loop` runs whole (docs/reliability.md).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from recipekit.runner.runtime.seals import seal_files, write_seal

from ...support.disk_faults import Disk, Fault
from ...support.joined_recoveries import complete_stages, state_of

pytest.importorskip("axolotl", reason="needs the extra [train]: axolotl")
ROOT = Path(__file__).parents[3]
AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="a process with a folder of its own under a name needs root")
TRIED = [
    ["convert", "--every", "5"],
    ["generate", "--every", "8", "--kinds", "SIGKILL", "ENOSPC"],
    *(pytest.param([command], marks=pytest.mark.long) for command in ("convert", "generate", "report", "export")),
    pytest.param(["run", "--every", "120", "--kinds", "EIO"], marks=pytest.mark.long),  # of several stages: in parts
    pytest.param(["run", "--every", "60", "--kinds", "ENOSPC", "--forked"], marks=[pytest.mark.long, AS_ROOT]),
]


@pytest.mark.parametrize("arguments", TRIED, ids=lambda given: " ".join(given[:3]))
def test_a_fault_changes_no_result(arguments, tmp_path):
    argv = [sys.executable, "-m", "tests.support.fault_loop", *arguments, "--folder", str(tmp_path)]
    done = subprocess.run(argv, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True)
    start = done.stdout.find('{\n "faults"')  # the trainer's packages print too
    assert start >= 0, done.stderr[-2000:]
    found = json.loads(done.stdout[start:])
    assert found["faults"] > 0
    assert [difference for loop in found["loops"] for difference in loop["differences"]] == []


def made(folder: Path, name: str = "20260101-000000-abcdef", seconds: float = 1.5, temporary: int = 1) -> Path:
    """A run's directory as a recovery may come to it."""
    run = folder / "runs" / "tiny" / name
    (run / "model").mkdir(parents=True)
    (run / "model" / "weights.safetensors").write_bytes(b"weights")
    write_seal(run / "model")
    (run / "metrics.jsonl").write_text(f'{{"step": 1, "loss": 2.5, "tokens_per_s": {seconds}}}\n')
    reason = f'training ended by signal SIGKILL\n    | "{seconds}" per step\n    | saving'
    status = {"stages": {"data": "a"}, "file": f"{folder}/tiny.yml", "reason": reason, "updated": seconds}
    (run / "status.json").write_text(json.dumps(status))
    (run / "report.html").write_text(f"<html>trained for {seconds} s</html>")
    (run / f".merged.{temporary}.tmp").mkdir()
    seal_files(run, ["metrics.jsonl", "model/sealed.json"])
    (folder / "output").write_text(f"after {seconds} s")
    return run


def test_recoveries_join_where_they_differ_in_time_and_names_alone(tmp_path):
    folders = [tmp_path / "one", tmp_path / "another"]
    made(folders[0])
    made(folders[1], "20270101-000000-fedcba", 7e-05, 123)
    assert state_of(folders[0]) == state_of(folders[1]) and complete_stages(folders[0]) == complete_stages(folders[1]) == [["data"]]


def test_what_stands_in_temporary_files_is_no_part_of_a_state_and_nothing_uses_it(tmp_path):
    run = made(tmp_path / "one")
    left = run / ".metrics.json.1.tmp"
    left.write_text("half")
    before, disk = state_of(tmp_path / "one"), Disk(tmp_path / "one", Fault())
    left.write_text("another half")
    assert state_of(tmp_path / "one") == before
    for event, others in (("open", ("r", os.O_RDONLY)), ("open", ("a", os.O_WRONLY | os.O_APPEND)), ("os.rename", (run / "metrics.json",))):
        with pytest.raises(RuntimeError, match="left unfinished"):
            disk._audit(event, (str(left), *others))
    (folder := run / ".merged.1.tmp" / "half").mkdir()
    Disk(tmp_path / "one", Fault())._audit("open", (str(folder.parent), None, os.O_RDONLY))  # to remove it
    disk._audit("open", (str(left), "w", os.O_WRONLY | os.O_CREAT | os.O_TRUNC))
    disk._audit("os.rename", (str(left), run / "metrics.json"))  # what is made anew is no longer theirs


@pytest.mark.parametrize(
    "change",
    [
        lambda run: (run / "model" / "weights.safetensors").write_bytes(b"other"),
        lambda run: (run / "metrics.jsonl").write_text('{"step": 1, "loss": 2.6, "tokens_per_s": 1.5}\n'),
        lambda run: (run / "metrics.jsonl").write_text('{"step": 1, "loss": 2.5, "tokens_per_s": 1.5}'),
        lambda run: (run / "metrics.jsonl").write_text('{"step": 1, "loss": 2.5, "tokens_per_s": 1.6}\n'),  # now its seal does not hold
        lambda run: (run / "sealed.json").write_bytes((run / "sealed.json").read_bytes()[:-9]),
        lambda run: (run / ".model.1.tmp").mkdir(),
        lambda run: (run / "model" / "sealed.json").unlink(),
        lambda run: (run / "status.json").write_text("{"),
        lambda run: (run / "status.json").write_text((run / "status.json").read_text().replace("SIGKILL", "SIGTERM")),
        lambda run: (run / "report.html").write_text("<html>trained for 1.5"),
    ],
)
def test_recoveries_that_differ_in_anything_else_do_not_join(tmp_path, change):
    run, folder = made(tmp_path / "one"), tmp_path / "one"
    before = state_of(folder)
    change(run)
    assert state_of(folder) != before
