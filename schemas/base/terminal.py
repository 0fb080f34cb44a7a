"""Show data safely on a terminal, in a page or in a spreadsheet: control characters and formulas are shown, never obeyed."""

import os
import re
import sys
from collections.abc import Iterable, Iterator
from typing import IO, Any, TextIO

# C0 and C1 except tab and line feed, and characters that reorder or hide text (bidirectional controls, zero width, line separators).
_UNSAFE = "[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]"

_HEADING = re.compile(r" *(?:\w+ {2,})?")
_DEEPEST = 16  # columns

# Of the 256 colours, which are the same everywhere: each is readable on white and on black, as yellow, green and cyan of the 16 are not.
GOOD, BAD, WARNING, HINT = 28, 196, 130, 30

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def printable(text: str) -> str:
    """Return the text with every unsafe character escaped: `\\x1b`, `\\u202e`."""
    if text.replace("\n", "").isprintable():  # compiling the pattern takes longer than most commands print
        return text
    return re.sub(_UNSAFE, lambda match: ascii(match.group())[1:-1], text)


def inert_cell(value: object) -> object:
    """Return a cell for a CSV file; text that a spreadsheet would run as a formula gets an apostrophe first, as OWASP recommends."""
    if not isinstance(value, str):
        return value
    return "'" * (value.startswith("\t") or value.lstrip().startswith(_FORMULA)) + printable(value)


def csv_rows(rows: Iterable[Iterable[Any]]) -> Iterator[str]:
    """Yield each row as CSV with an LF line end."""
    import csv
    import io

    for row in rows:
        text = io.StringIO()
        csv.writer(text, lineterminator="\n").writerow(map(inert_cell, row))
        yield text.getvalue()


def wrapped(text: str, stream: IO[str], indent: int = 0) -> str:
    """Break the text between words at the terminal's width, with later lines indented; unchanged if the stream is not a terminal."""
    if not stream.isatty():
        return text
    import shutil
    import textwrap

    width = max(shutil.get_terminal_size().columns, indent + 20)
    wrapper = textwrap.TextWrapper(width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(wrapper.fill(line) for line in text.split("\n"))


def echo_styled(*parts: tuple[str, dict[str, Any]], err: bool = False, newline: bool = True) -> None:
    """Print texts, each in its style (keywords of click.style), in colour if the stream is a terminal."""
    import click

    text = "".join(click.style(printable(_without_secrets(part) if err else part), **style) for part, style in parts)
    click.echo(text, file=beneath(sys.stderr if err else sys.stdout), nl=newline, color=False if os.environ.get("NO_COLOR") else None)


class TerminalStream:
    """A text stream that escapes everything written to it; stdout and stderr are wrapped in it.

    With `messages`, secrets are replaced, also in what libraries print, and whole lines are wrapped between words on a terminal: not for
    YAML or data, which people copy.
    Code that colours text or moves the cursor (`echo_styled`, `Screen`) escapes the text itself, and writes to the stream beneath.
    """

    def __init__(self, stream: TextIO, messages: bool = False) -> None:
        self.beneath = stream
        self.messages = messages

    def write(self, text: str) -> int:
        """Write the text with unsafe characters escaped."""
        shown = printable(_without_secrets(text) if self.messages else text)
        if self.messages and shown.endswith("\n"):
            shown = "\n".join(wrapped(line, self.beneath, _indent(line)) for line in shown.split("\n"))
        self.beneath.write(shown)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.beneath, name)


def _without_secrets(text: str) -> str:
    from .redact import redact  # compiling the patterns is slow, and many commands print no message

    return redact(text)


def _indent(line: str) -> int:
    """Return where the text of a line begins: after its blanks and a heading such as `model     `."""
    found = _HEADING.match(line)
    return min(found.end(), _DEEPEST) if found else 0


def beneath(stream: TextIO) -> TextIO:
    """Return the stream below a TerminalStream; any other stream unchanged."""
    return stream.beneath if isinstance(stream, TerminalStream) else stream
