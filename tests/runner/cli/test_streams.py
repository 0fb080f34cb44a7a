"""A command whose terminal, pipe or name is not what it should be: it ends as it would have, or says what is wrong."""

import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

from ...support.jsonl import write_jsonl
from ...support.recipe_process import COMMAND
from ...support.tiny import emogpt_rows
from ...support.waiting import PATIENCE

ASCII = {"LC_ALL": "C", "PYTHONCOERCECLOCALE": "0", "PYTHONUTF8": "0"}
# What writes to a terminal before and after it was closed, and then to a file.
WRITES = """
import os, sys
from recipekit.runner.cli.streams import prepare_streams
from recipekit.schemas.base.screen import ProgressScreen
prepare_streams()
screen = ProgressScreen()
print("ready", flush=True)
os.read(int(sys.argv[1]), 1)
for _ in range(3):
    print("nobody reads this", flush=True)
    print("nor this", file=sys.stderr)
    screen.print("nor this")
open(sys.argv[2], "w").write("done")
"""


def in_closed_terminal(code: str, *arguments: str, ready: str) -> int:
    """The exit code of a program whose terminal is closed once it has written `ready`; it cannot be signalled by that terminal."""
    ours, theirs = pty.openpty()
    read, write = os.pipe()
    child = subprocess.Popen(
        [sys.executable, "-c", code, str(read), *arguments], stdin=theirs, stdout=theirs, stderr=theirs, pass_fds=[read]
    )
    os.close(theirs)
    seen = b""
    while ready.encode() not in seen:
        seen += os.read(ours, 4096)
    os.close(ours)
    os.write(write, b"x")
    os.close(write)
    os.close(read)
    return child.wait(PATIENCE)


def test_work_goes_on_after_its_terminal_was_closed(tmp_path: Path) -> None:
    assert in_closed_terminal(WRITES, str(tmp_path / "out"), ready="ready") == 0
    assert (tmp_path / "out").read_text() == "done"


# A command whose terminal is closed while it converts rows.
HUNG_UP = """
import os, signal
from recipekit.converters.building import workers
from recipekit.runner.cli.main import main

convert_batch = workers.convert_batch

def hang_up(*arguments):
    print(len(os.listdir()), flush=True)
    os.kill(os.getpid(), signal.SIGHUP)
    return convert_batch(*arguments)

workers.convert_batch = hang_up
signal.signal(signal.SIGHUP, signal.SIG_DFL)  # the tests may themselves run under nohup
main()
"""


def test_a_closed_terminal_ends_a_conversion_without_leaving_files(tmp_path: Path) -> None:
    """As Ctrl-C does: the temporary folder is removed. nohup keeps it running."""
    write_jsonl(tmp_path / "rows.jsonl", emogpt_rows())
    arguments = ["convert", "--converter", "emogpt", "rows.jsonl", "--out", "out", "--processes", "1"]
    ended = subprocess.run([sys.executable, "-c", HUNG_UP, *arguments], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
    assert (ended.returncode, ended.stdout) == (130, "2\n"), "the rows and the temporary folder"
    assert [path.name for path in tmp_path.iterdir()] == ["rows.jsonl"]


@pytest.mark.parametrize("encoding", [ASCII, {"PYTHONIOENCODING": "ascii"}, {"PYTHONIOENCODING": "latin-1"}], ids=str)
def test_marks_and_data_are_printed_in_any_encoding(encoding: dict[str, str]) -> None:
    result = subprocess.run([*COMMAND, "doctor", "quickstart"], capture_output=True, env={**os.environ, **encoding})
    assert result.returncode == 0, result.stderr
    assert (b"\\u2713" if "latin-1" in str(encoding) else "✓".encode()) in result.stdout


def test_a_closed_stderr_does_not_change_the_exit_code() -> None:
    read, write = os.pipe()
    os.close(read)
    assert subprocess.run([*COMMAND, "no-such-command"], stderr=write).returncode == 2
    os.close(write)


def test_a_closed_stdin_is_an_empty_one() -> None:
    code = "from recipekit.runner.cli.streams import prepare_streams; import sys; prepare_streams(); print(repr(sys.stdin.buffer.read()))"
    result = subprocess.run(["sh", "-c", '"$@" <&-', "sh", sys.executable, "-c", code], capture_output=True, text=True)
    assert result.stdout == "b''\n", result.stderr


def test_a_name_that_is_not_utf_8_is_refused(tmp_path: Path) -> None:
    result = subprocess.run(
        [*COMMAND, "convert", "--converter", "table", b"ro\xffws.csv", "--out", "x"], capture_output=True, text=True, cwd=tmp_path
    )
    assert result.returncode == 1 and "ro\\udcffws.csv: is not UTF-8" in result.stderr
    folder = os.fsencode(tmp_path) + b"/a\xff"
    os.mkdir(folder)
    result = subprocess.run([*COMMAND, "ls"], capture_output=True, text=True, cwd=folder)
    assert result.returncode == 1 and "a\\udcff: is not UTF-8" in result.stderr


def test_a_removed_folder_is_reported(tmp_path: Path) -> None:
    shell = 'mkdir gone && cd gone && rmdir ../gone && "$@"'
    result = subprocess.run(["sh", "-c", shell, "sh", *COMMAND, "check", "x.yml"], capture_output=True, text=True, cwd=tmp_path)
    assert (result.returncode, result.stderr) == (1, "error: the current folder was removed\n    hint: cd to another folder\n")


# A command that is sent SIGTERM, and again while it removes its temporary folder.
TERMINATED_TWICE = """
import os, shutil, signal
from pathlib import Path
from recipekit.runner.cli import main as program
from recipekit.schemas.base.files import replacing_folder

remove = shutil.rmtree

def work(**_):
    with replacing_folder(Path("out")):
        os.kill(os.getpid(), signal.SIGTERM)

def remove_and_be_terminated(*arguments, **named):
    os.kill(os.getpid(), signal.SIGTERM)
    remove(*arguments, **named)

shutil.rmtree, program.cli.main = remove_and_be_terminated, work
program.main()
"""


def test_a_second_sigterm_does_not_stop_the_first_one_from_tidying_up(tmp_path: Path) -> None:
    ended = subprocess.run([sys.executable, "-c", TERMINATED_TWICE], cwd=tmp_path, capture_output=True, text=True)
    assert (ended.returncode, ended.stderr, [*tmp_path.iterdir()]) == (130, "interrupted\n", [])
