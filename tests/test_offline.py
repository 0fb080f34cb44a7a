"""Checking, converting, rendering and validating never ask the network for anything, nor try to."""

import os
import shutil
import subprocess
import sys

import pytest

from .support.paths import ROOT
from .support.recipe_process import COMMAND
from .support.waiting import PATIENCE

# What a process does that looks for another machine, or offers itself to one.
WATCHED = """
import sys
def watch(event, arguments):
    if event.startswith("socket.") and event != "socket.gethostname" and event != "socket.__new__":
        raise SystemExit(f"the network was asked: {event} {arguments}")
sys.addaudithook(watch)
from recipekit.runner.cli.main import main
main()
"""


@pytest.fixture(scope="module")
def rows(tmp_path_factory):
    folder = tmp_path_factory.mktemp("offline")
    (folder / "rows.csv").write_text("text,label\n" + "".join(f"sentence number {n},joy\n" for n in range(50)))
    (folder / "rows.jsonl").write_text('{"messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}\n')
    return folder


def commands(folder):
    convert = ["convert", "--out", folder / "out", "--validation", "0.2"]
    return {
        "check": ["check", ROOT / "recipes"],
        "convert a table": [*convert, "--converter", "table", folder / "rows.csv", "--dedup", "near", "--json"],
        "convert lines": ["convert", "--out", folder / "lines", "--converter", "messages", folder / "rows.jsonl", "--processes", "2"],
        "validate": ["data", "validate", folder / "rows.jsonl", "--schema", "chat"],
        "show": ["show", "quickstart"],
        "explain": ["explain", "quickstart", "training.learning_rate"],
        "schema": ["schema"],
        "help": ["--help"],
    }


def run(argv, folder):
    env = {**os.environ, "PYTHONSAFEPATH": "1", "NO_COLOR": "1"}
    return subprocess.run(list(map(str, argv)), cwd=folder, env=env, capture_output=True, text=True, timeout=PATIENCE)


@pytest.mark.parametrize("name", commands(ROOT))
def test_a_command_opens_no_connection(rows, name):
    result = run([sys.executable, "-c", WATCHED, *commands(rows)[name]], rows)
    assert "the network was asked" not in result.stderr
    assert result.returncode in ((0,) if name != "validate" else (0, 1)), result.stderr


def test_the_network_monitor_sees_a_connection(rows):
    result = run(
        [
            sys.executable,
            "-c",
            WATCHED.replace("from recipekit", "import socket; socket.socket().connect(('127.0.0.1', 1))\nfrom recipekit"),
        ],
        rows,
    )
    assert "the network was asked" in result.stderr


@pytest.mark.parametrize("name", ["check", "convert a table", "convert lines"])
def test_local_commands_work_offline(rows, name):
    unshare = shutil.which("unshare")
    if not unshare or subprocess.run([unshare, "-rn", "true"], capture_output=True).returncode:
        pytest.skip("this machine lets nobody take the network away")
    result = run([unshare, "-rn", *COMMAND, *commands(rows)[name]], rows)
    assert result.returncode == 0, result.stderr
