"""What data holds cannot control a terminal."""

import io
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.schemas.base.terminal import TerminalStream, echo_styled, inert_cell, printable, wrapped


def test_control_characters_are_shown() -> None:
    assert printable("a\x1b]0;title\x07b\r\u202ec\x9b2J") == "a\\x1b]0;title\\x07b\\r\\u202ec\\x9b2J"
    assert printable("emoji 👍🏽, 漢字, é, tab\t and line\n") == "emoji 👍🏽, 漢字, é, tab\t and line\n"


def test_a_stream_escapes_everything() -> None:
    stream = io.StringIO()
    TerminalStream(stream).write("\x1b[31mred\x1b[0m \x1b[2J \x1b[1A \x1b]52;c;eA==\x07")
    assert stream.getvalue() == "\\x1b[31mred\\x1b[0m \\x1b[2J \\x1b[1A \\x1b]52;c;eA==\\x07"


def test_styled_text_has_only_our_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    terminal = Terminal()
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setattr("sys.stdout", TerminalStream(terminal))
    echo_styled(("a\x1b[2J", {"bold": True}), ("b\x1b[31m", {}))
    assert terminal.getvalue() == "\x1b[1ma\\x1b[2J\x1b[0mb\\x1b[31m\x1b[0m\n"


@pytest.mark.parametrize("cell", ["=1+1", "@SUM(1)", "+1", "-1", "\t=1", " =1", "\r=1", "＝1", "\tx"])
def test_a_formula_is_text_in_a_spreadsheet(cell: str) -> None:
    assert str(inert_cell(cell)).startswith(("'", "\\r"))
    assert (inert_cell(-1.5), inert_cell(3), inert_cell("joy = love")) == (-1.5, 3, "joy = love")


@given(st.text())
def test_no_control_character_is_left(text: str) -> None:
    assert all(char in "\t\n" or unicodedata.category(char) not in ("Cc", "Cs", "Zl", "Zp") for char in printable(text))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@given(st.lists(st.text("abc-/", min_size=1, max_size=120), min_size=1))
def test_no_word_is_cut_at_80_columns(words: list[str]) -> None:
    lines = wrapped(" ".join(words), Terminal(), 10).split("\n")
    assert [word for line in lines for word in line.split()] == words
    assert all(len(line) <= 80 or len(line.split()) == 1 for line in lines)


@given(st.text())
def test_a_pipe_gets_lines_as_they_are(text: str) -> None:
    assert wrapped(text, io.StringIO(), 10) == text


@given(st.text(), st.text())
def test_a_stream_of_messages_is_wrapped_on_a_terminal_alone(first: str, second: str) -> None:
    text = f"model     {first} {second}\n"
    pipe, terminal, plain = io.StringIO(), Terminal(), Terminal()
    for stream, wraps in ((pipe, True), (terminal, True), (plain, False)):
        TerminalStream(stream, wraps).write(text)
    assert pipe.getvalue() == plain.getvalue() == printable(text)
    assert terminal.getvalue().split() == printable(text).split()
