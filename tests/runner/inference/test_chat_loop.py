"""Lines that are read: text, commands, what is no text."""

import io

import click
import pytest
from recipekit.runner.inference.chat_loop import answer_piped
from recipekit.schemas.base.errors import UserError

from ...support.terminal import in_terminal


class Heard:
    """Answers nothing; remembers what it was asked."""

    help = ""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def respond(self, line: str) -> None:
        if line == "too long":
            raise UserError("no room")
        self.lines.append(line)

    def reset(self) -> str:
        self.lines.append("(reset)")
        return "begun anew"

    def set_system(self, text: str) -> str:
        self.lines.append(f"(system {text})")
        return f"system: {text}"


def heard(text: bytes) -> list[str]:
    session = Heard()
    answer_piped(session, io.BytesIO(text))
    return session.lines


def test_every_line_is_answered_but_blank_ones_and_what_follows_quit(capsys: pytest.CaptureFixture[str]) -> None:
    assert heard("hi\n\n  \nwie geht’s 🌙\r\nlast".encode()) == ["hi", "wie geht’s 🌙", "last"]
    assert capsys.readouterr().err == "stdin:2: blank line, skipped\nstdin:3: blank line, skipped\n"
    assert heard(b"hi\n/quit\nno more\n") == ["hi"]


def test_commands_are_whole_words_at_the_beginning_and_all_else_is_text(capsys: pytest.CaptureFixture[str]) -> None:
    assert heard(b"/reset\n/system Be brief.\n/system\n/etc/hosts\n/resetting\nsay /quit\n") == [
        "(reset)", "(system Be brief.)", "(system )", "/etc/hosts", "/resetting", "say /quit",
    ]  # fmt: skip
    shown = capsys.readouterr()
    assert shown.out == "" and shown.err.splitlines() == ["begun anew", "system: Be brief.", "system: "]


def test_help_is_not_a_message(capsys: pytest.CaptureFixture[str]) -> None:
    assert heard(b"/help\nhi\n") == ["hi"]
    assert capsys.readouterr().err == f"{Heard.help}\n"


@pytest.mark.parametrize(("text", "what"), [(b"hi\n\xff\xfe\n", "stdin:2: is not UTF-8"), (b"hi\n\ntoo long\n", "stdin:3: no room")])
def test_a_line_that_cannot_be_answered_is_named(text: bytes, what: str) -> None:
    with pytest.raises(UserError, match=what):
        heard(text)


def test_the_commands_are_shown_in_lines_that_the_terminal_need_not_break() -> None:
    code = "from types import SimpleNamespace; from recipekit.runner.inference.chat_loop import answer_typed as answer; "
    _, shown = in_terminal(code=code + "answer(SimpleNamespace(help='a command ' * 12))", keys="/quit\n")
    lines = [line for line in click.unstyle(shown).splitlines() if "command" in line]
    assert len(lines) == 2 and all(len(line) <= 80 for line in lines), shown
