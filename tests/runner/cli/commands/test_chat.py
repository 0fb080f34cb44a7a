"""`recipe chat` as a process: through pipes, and in a terminal of its own."""

import json
import os
import pty
import select
import signal
import subprocess
import time
from contextlib import suppress
from pathlib import Path

import pytest

from ....support.held_process import held, wait_for_held
from ....support.recipe_process import COMMAND
from ....support.waiting import PATIENCE, process_state, wait_until

pytest.importorskip("torch", reason="needs the extra [train]")

ARGV = [*COMMAND, "chat"]
ENVIRONMENT = {**os.environ, "NO_COLOR": "1", "PYTHONSAFEPATH": "1", "CUDA_VISIBLE_DEVICES": "", "COLUMNS": "100", "LINES": "40"}


def piped(lines: str, *arguments: object) -> subprocess.CompletedProcess[str]:
    argv = [*ARGV, *map(str, arguments)]
    return subprocess.run(argv, input=lines, capture_output=True, text=True, timeout=300, env=ENVIRONMENT)


class Terminal:
    """A process on a terminal of its own. It is typed to, and read until something appears."""

    def __init__(self, *arguments: object, **more: str) -> None:
        self.controller, own = pty.openpty()
        argv = [*ARGV, *map(str, arguments)]
        self.process = subprocess.Popen(argv, stdin=own, stdout=own, stderr=own, env={**ENVIRONMENT, **more}, start_new_session=True)
        os.close(own)
        self.seen = ""

    def type(self, text: str) -> None:
        os.write(self.controller, text.encode())

    def until(self, what: str, after: int = 0) -> int:
        """Where `what` ends, the first time that it is seen after so many characters."""
        end = time.monotonic() + PATIENCE
        with suppress(OSError):  # how Linux tells that nobody holds the other end
            while what not in self.seen[after:] and time.monotonic() < end:
                if select.select([self.controller], [], [], 0.2)[0]:
                    self.seen += os.read(self.controller, 65536).decode("utf-8", "replace")
        if what not in self.seen[after:]:
            self.process.kill()
            self.process.wait()
            pytest.fail(f"{what!r} does not appear in {self.seen!r}")
        return self.seen.index(what, after) + len(what)

    def ended(self) -> int:
        end = time.monotonic() + PATIENCE
        with suppress(OSError):  # how Linux tells that nobody holds the other end
            while time.monotonic() < end:
                if select.select([self.controller], [], [], 0.2)[0]:
                    self.seen += os.read(self.controller, 65536).decode("utf-8", "replace")
        os.close(self.controller)  # a process that is still there is hung up on
        return self.process.wait(60)


def test_a_piped_line_gets_its_reply_on_stdout_and_nothing_else_there(tuned_run: Path) -> None:
    done = piped("Where does the cat sleep?\n", tuned_run)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.strip()) > 0
    assert "system    Be brief. (the recipe's)" in done.stderr
    assert "at most 6 tokens per reply" in done.stderr
    assert "Traceback" not in done.stderr


def test_replies_as_json_next_to_the_base_and_the_same_again_with_the_seed(tuned_run: Path, warm) -> None:
    options = ("--with-base", "--json", "--temperature", 1, "--seed", 3, "--max-tokens", 12)
    once, again = (warm(*ARGV[1:], tuned_run, *options, input="Hello cat?\nAnd the dog?\n", env=ENVIRONMENT) for _ in range(2))
    assert once.returncode == 0, once.stderr
    found = [json.loads(line) for line in once.stdout.splitlines()]
    assert [line["model"] for line in found] == ["base", "tuned"] * 2
    assert found[0]["usage"]["prompt_tokens"] == found[1]["usage"]["prompt_tokens"] < found[2]["usage"]["prompt_tokens"]
    assert found[0]["reply"] != found[1]["reply"]
    assert once.stdout == again.stdout


def test_unusable_chat_options_are_reported_before_loading(tmp_path: Path, tiny_model: Path) -> None:
    for arguments, what in (
        ((tmp_path / "nothing",), "no such model folder"),
        ((tiny_model, "--with-base"), "is not a run: it has no base model to compare with"),
        ((tiny_model, "--seed", 1), "--seed has no effect at temperature 0"),
    ):
        refused = piped("hi\n", *arguments)
        assert (refused.returncode, refused.stdout) == (1, "")
        assert what in refused.stderr and "Traceback" not in refused.stderr


def test_in_a_terminal_ctrl_c_stops_the_reply_and_ctrl_d_ends(tuned_run: Path, tmp_path: Path) -> None:
    """While both replies wait after their first token, until they are stopped."""
    waiting = held("runner.worker.generation", "_advance", "lambda reply, *_: not reply.cancelled", tmp_path / "site")
    terminal = Terminal(tuned_run, "--with-base", "--max-tokens", 40, **waiting)
    prompt = terminal.until("> ", terminal.until("Ctrl-D quits"))
    terminal.type("Hello cat?\r")
    replying = terminal.until("tuned", prompt)
    wait_for_held(tmp_path / "site", terminal.process)
    terminal.process.send_signal(signal.SIGINT)
    stopped = terminal.until("> ", terminal.until("stopped", replying))
    terminal.type("/reset\r")
    terminal.until("> ", terminal.until("conversation cleared", stopped))  # before its prompt, Ctrl-D would be nobody's
    terminal.type("\x04")
    assert terminal.ended() == 0


def test_a_terminal_ends_on_sigterm(tiny_model: Path) -> None:
    terminal = Terminal(tiny_model)
    terminal.until("> ")
    wait_until(lambda: process_state(terminal.process.pid) == "S")  # before it waits for a key, the signal would be seen with the next one
    while terminal.process.poll() is None:
        terminal.process.terminate()
        with suppress(subprocess.TimeoutExpired):
            terminal.process.wait(30)
    assert terminal.ended() == 130


def test_options_without_effect_on_web_are_refused_before_loading(command_line, monkeypatch, tiny_model: Path) -> None:
    for arguments, what in (
        (("--port", 1), "--port has no effect without --web"),
        (("--web", "--json"), "--json has no effect with --web"),
    ):
        refused = command_line("chat", tiny_model, *arguments)
        assert refused.code == 2 and what in refused.err
    monkeypatch.setattr("recipekit.runner.cli.commands.chat.find_spec", lambda name: None)
    refused = command_line("chat", tiny_model, "--web")
    assert (refused.code, refused.out) == (1, "")
    assert refused.err == "error: --web needs a package that is not installed: gradio\n    hint: pip install 'recipekit[serve]'\n"
