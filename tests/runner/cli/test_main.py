"""The command line: exit codes, suggestions, what goes to stdout, pipes that close, colours."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
import pytest
from recipekit.runner.cli import main
from recipekit.schemas import VERSION
from recipekit.schemas.base.errors import GateError, Interrupted, Location, Problem, UserError
from recipekit.schemas.base.terminal import BAD, HINT

from ...support.recipe_process import COMMAND
from ...support.terminal import in_terminal
from ...support.waiting import PATIENCE, process_state, wait_until

Recipe = Callable[..., Any]


@pytest.fixture
def failing(monkeypatch: pytest.MonkeyPatch) -> Callable[[BaseException], None]:
    """Makes `recipe check` end with the given exception."""

    def fail_with(error: BaseException) -> None:
        @click.command("check")
        def command() -> None:
            raise error

        monkeypatch.setattr(main.LazyGroup, "get_command", lambda self, ctx, name: command)

    return fail_with


ENDINGS = {
    "the user's input": (UserError(Problem(Location("r.yml", 3, 5), "wrong", "mend it")), 1, "r.yml:3:5: wrong\n    hint: mend it\n"),
    "the environment": (UserError("no GPU", hint="use a CPU"), 1, "error: no GPU\n    hint: use a CPU\n"),
    "a gate": (GateError("too many leaks"), 3, "error: too many leaks\n"),
    "an exit with words": (SystemExit("there is no template"), 1, "error: there is no template\n"),
    "interrupted by the run": (Interrupted("stopped at step 7"), 130, "interrupted: stopped at step 7\n"),
    "Ctrl-C": (KeyboardInterrupt(), 130, "interrupted"),
    "a full disk": (OSError(28, "No space left on device", "/data/x"), 1, "error: /data/x: No space left on device\n"),
    "a forbidden folder": (PermissionError(13, "Permission denied", "/forbidden/x"), 1, "error: /forbidden/x: Permission denied\n"),
    "a missing extra": (ModuleNotFoundError("no", name="pyarrow.parquet"), 1, 'hint: pip install "recipekit[data]"'),
    "a missing training extra": (ModuleNotFoundError("no", name="torch"), 1, 'hint: pip install "recipekit[train]"'),
    "a link to itself": (RuntimeError("Symlink loop from '/data/x'"), 1, "error: Symlink loop from '/data/x'\n"),
    "no folder for temporary files": (FileNotFoundError(2, "No usable temporary directory found in ['/tmp']"), 1, "error: No usable temporary"),
    "a closed pipe": (BrokenPipeError(32, "Broken pipe"), 1, ""),
}  # fmt: skip


@pytest.mark.parametrize("ending", ENDINGS)
def test_a_command_ends_with_its_code_and_one_clear_message(command_line: Recipe, failing: Callable, ending: str) -> None:
    error, code, message = ENDINGS[ending]
    failing(error)
    outcome = command_line("check")
    assert outcome.code == code
    assert message in outcome.err
    assert outcome.out == ""
    assert "Traceback" not in outcome.err


@pytest.mark.parametrize(
    "error",
    [ZeroDivisionError("x"), ModuleNotFoundError("no", name="recipekit.nothing"), OSError(9, "bad descriptor"), RecursionError()],
    ids=repr,
)
def test_an_unexpected_error_is_a_bug_with_a_traceback(command_line: Recipe, failing: Callable, error: Exception) -> None:
    failing(error)
    outcome = command_line("check")
    assert outcome.code == 70
    assert "Traceback" in outcome.err
    assert f"This is a bug in recipekit {VERSION}" in outcome.err


USAGE = {
    (): "Usage:", ("chekc",): "Did you mean 'check'?", ("train",): "Did you mean 'run'?", ("validate",): "Did you mean 'check'?",
    ("list",): "Did you mean 'ls'?", ("init",): "Did you mean 'new'?", ("zzzz",): "no such command 'zzzz'.", ("check",): "Missing argument",
    ("check", "x", "--formt", "json"): "Did you mean --format?", ("check", "x", "--format", "xml"): "'xml' is not one of",
    ("--nonsense",): "No such option", ("explain",): "Missing argument 'KEY'.",
}  # fmt: skip


@pytest.mark.parametrize("arguments", USAGE, ids=" ".join)
def test_wrong_usage_ends_with_2_and_a_suggestion(command_line: Recipe, arguments: tuple[str, ...]) -> None:
    outcome = command_line(*arguments)
    assert outcome.code == 2
    assert USAGE[arguments].replace("--format?", "--format") in outcome.err.replace("'--format'", "--format")
    assert outcome.out == ""


@pytest.mark.parametrize(
    ("arguments", "key"),
    [
        (("run", "x", "--max-steps", "5"), "training.max_steps"),
        (("plan", "x", "--training.lora_r=8"), "training.lora_r"),
        (("run", "x", "--per_device_train_batch_size", "1"), "training.micro_batch_size"),
        (("run", "x", "--seed", "1"), "training.seed"),
        (("run", "x", "--batch-size", "1"), "training.micro_batch_size"),
        (("check", "x", "--nonsense"), ""),
        (("check", "x", "--training", "1"), ""),
        (("runs", "--max-steps", "5"), ""),
    ],
    ids=["a key", "its section", "of other tools", "of several sections", "another's", "no key", "a section", "no --set"],
)
def test_an_option_that_is_a_key_of_the_recipe_names_set(command_line: Recipe, arguments: tuple[str, ...], key: str) -> None:
    outcome = command_line(*arguments)
    assert outcome.code == 2
    assert outcome.err.endswith(f"hint: a key of the recipe is set with --set {key}=VALUE\n") if key else "--set" not in outcome.err


def test_a_message_begins_a_new_line_in_the_terminal_where_its_place_fills_one() -> None:
    place = f"--set evaluation.also.{'x' * 30}.sources.0.path=a.jsonl:"
    code, written = in_terminal("show", "quickstart", "--set", place.removeprefix("--set ").removesuffix(":"))
    lines = re.sub(r"\x1b\[[0-9;]*m", "", written).replace("\r", "").splitlines()
    assert code == 1 and lines[lines.index(place) + 1].startswith("    evaluation.also.")


def test_every_summary_of_a_commands_commands_is_whole(command_line: Recipe) -> None:
    assert "..." not in command_line("data", "--help").out.partition("Commands:")[2]


def test_every_suggested_verb_exists() -> None:
    assert [verb for verb in main.VERBS if verb in main.COMMANDS] == []


def test_help_and_version_go_to_stdout(command_line: Recipe) -> None:
    shown = command_line("--help")
    assert (shown.code, shown.err) == (0, "")
    assert all(f"  {name} " in shown.out for name in main.COMMANDS)
    assert command_line("-h").out == shown.out
    assert command_line("--version").out == f"recipe, version {VERSION}\n"


@pytest.mark.parametrize(
    "name", [name for name, (module, _) in main.COMMANDS.items() if (Path(main.__file__).parent / "commands" / f"{module}.py").exists()]
)
def test_every_command_has_help(command_line: Recipe, name: str) -> None:
    outcome = command_line(name, "--help")
    assert outcome.code == 0
    assert f"recipe {name}" in outcome.out
    assert max(map(len, outcome.out.splitlines())) <= 80


def test_the_installed_program_runs() -> None:
    program = Path(sys.executable).with_name("recipe")
    assert subprocess.run([program, "--version"], capture_output=True, text=True, check=True).stdout == f"recipe, version {VERSION}\n"


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    _, err = process.communicate(timeout=PATIENCE)
    return process.returncode, err


@pytest.mark.parametrize("arguments", [["schema"], ["--help"], ["show", "quickstart", "--origins"]], ids=" ".join)
def test_a_closed_pipe_is_not_reported(arguments: list[str]) -> None:
    read, write = os.pipe()
    os.close(read)
    process = subprocess.Popen([*COMMAND, *arguments], stdout=write, stderr=subprocess.PIPE, text=True)
    os.close(write)
    code, err = ended(process)
    assert err == ""
    assert code == 1


def test_a_full_disk_behind_stdout_is_reported() -> None:
    with open("/dev/full", "w") as full:
        result = subprocess.run([*COMMAND, "schema"], stdout=full, stderr=subprocess.PIPE, text=True)
    assert result.returncode == 1
    assert "No space left on device" in result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.parametrize("redirection", [">&-", "2>&-", ">&- 2>&-"])
def test_a_closed_stream_is_silent(redirection: str) -> None:
    shell = ["sh", "-c", f'"$@" {redirection}', "sh", *COMMAND, "schema"]
    result = subprocess.run(shell, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")


def writing(fifo: Path) -> int | None:
    """The pipe's other end, once somebody reads it."""
    with suppress(OSError):
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    return None


def test_ctrl_c_ends_with_130(tmp_path: Path) -> None:
    fifo = tmp_path / "slow.yml"
    os.mkfifo(fifo)
    process = subprocess.Popen([*COMMAND, "check", str(fifo)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    writer = wait_until(lambda: writing(fifo), process)
    wait_until(lambda: process_state(process.pid) == "S", process)  # in the read: Python would not see a signal just before it
    process.send_signal(signal.SIGINT)
    code, err = ended(process)
    os.close(writer)
    assert code == 130
    assert err.strip() == "interrupted"


@pytest.mark.parametrize("variable", [{}, {"NO_COLOR": "1"}])
def test_without_a_terminal_there_are_no_colours(variable: dict[str, str]) -> None:
    result = subprocess.run([*COMMAND, "show", "nothing"], capture_output=True, text=True, env={**os.environ, **variable})
    assert result.returncode == 1
    assert "\x1b" not in result.stderr


def on_terminal(variables: dict[str, str], *arguments: str) -> bytes:
    """What `recipe ...` writes to a terminal."""
    import pty

    leader, follower = pty.openpty()
    env = {key: value for key, value in os.environ.items() if key != "NO_COLOR"} | {"TERM": "xterm"} | variables
    process = subprocess.Popen([*COMMAND, *arguments], stdin=follower, stdout=follower, stderr=follower, env=env)
    os.close(follower)
    written = b""
    while True:
        try:
            block = os.read(leader, 4096)
        except OSError:
            break
        if not block:
            break
        written += block
    process.wait(PATIENCE)
    os.close(leader)
    return written


def test_a_terminal_gets_colours_unless_no_color_is_set() -> None:
    """Red is what is wrong nowhere in particular; a place is bold, as the hint has a colour of its own."""
    refused = ("convert", "--converter", "messages", "--type", "text", "rows.jsonl", "--out", "out")
    assert b"\x1b[38;5;%dm\x1b[1merror: " % BAD in on_terminal({}, *refused)
    shown = on_terminal({}, "show", "nothing")
    assert b"\x1b[1mnothing: " in shown and b"\x1b[38;5;%dm    hint: " % HINT in shown
    assert b"\x1b[" not in on_terminal({"NO_COLOR": "1"}, *refused) + on_terminal({"NO_COLOR": "1"}, "show", "nothing")
