"""Commands that are killed, or refused by the disk, at one operation after another: what is left can always be recovered from.

A part of the loop that `python -m tests.support.fault_loop` runs whole (docs/reliability.md).
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("axolotl", reason="needs the extra [train]: axolotl")
ROOT = Path(__file__).parents[3]
TRIED = [
    ["convert", "--every", "5"],
    ["generate", "--every", "8", "--kinds", "SIGKILL", "ENOSPC"],
    *(pytest.param([command], marks=pytest.mark.long) for command in ("convert", "generate", "report", "export")),
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
