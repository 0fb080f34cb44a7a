"""Data as it is shown on a terminal, in a page or in a spreadsheet: control characters and formulas are text, never obeyed."""

import os
import re
import sys
from typing import IO, Any, TextIO

# C0 and C1 but tab and line feed, and what reorders or hides text (bidirectional controls, zero-width characters, separators of lines).
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]")

_HEADING = re.compile(r" *(?:\w+ {2,})?")
_DEEPEST = 16  # columns

_FORMULA = ("=", "+", "-", "@", "＝", "＋", "－", "＠")


def printable(text: str) -> str:
    """The text with every such character written as its escape: `\\x1b`, `\\u202e`."""
    return _UNSAFE.sub(lambda match: ascii(match.group())[1:-1], text)


def inert_cell(value: object) -> object:
    """Return a cell of a CSV file; text that a spreadsheet would run as a formula begins with an apostrophe, as OWASP recommends."""
    if not isinstance(value, str):
        return value
    return "'" * (value.startswith("\t") or value.lstrip().startswith(_FORMULA)) + printable(value)


def wrapped(text: str, stream: IO[str], indent: int = 0) -> str:
    """Break the text between words at the width of the terminal, later lines indented; unchanged where the stream is not a terminal."""
    if not stream.isatty():
        return text
    import shutil
    import textwrap

    width = max(shutil.get_terminal_size().columns, indent + 20)
    wrapper = textwrap.TextWrapper(width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(wrapper.fill(line) for line in text.split("\n"))


def echo_styled(*parts: tuple[str, dict[str, Any]], err: bool = False, newline: bool = True) -> None:
    """Print texts, each in its own style (as of click.style), in colour where the stream is a terminal."""
    import click

    text = "".join(click.style(printable(part), **style) for part, style in parts)
    click.echo(text, file=beneath(sys.stderr if err else sys.stdout), nl=newline, color=False if os.environ.get("NO_COLOR") else None)


class TerminalStream:
    """A text stream that escapes all that it is given: the way from this program to stdout and stderr.

    With `wraps`, whole lines are broken between words on a terminal: for messages, not for YAML or data, which people copy.
    What colours text or moves the cursor itself (`echo_styled`, `Screen`) escapes the text, and writes to the stream beneath.
    """

    def __init__(self, stream: TextIO, wraps: bool = False) -> None:
        self.beneath = stream
        self.wraps = wraps

    def write(self, text: str) -> int:
        """Write the text, escaped."""
        shown = printable(text)
        if self.wraps and shown.endswith("\n"):
            shown = "\n".join(wrapped(line, self.beneath, _indent(line)) for line in shown.split("\n"))
        self.beneath.write(shown)
        return len(text)

    def __getattr__(self, name: str) -> Any:
        return getattr(self.beneath, name)


def _indent(line: str) -> int:
    """Return where the text of a line begins: after its blanks and a heading such as `model     `."""
    found = _HEADING.match(line)
    return min(found.end(), _DEEPEST) if found else 0


def beneath(stream: TextIO) -> TextIO:
    """Return the stream that a TerminalStream writes to; any other as it is."""
    return stream.beneath if isinstance(stream, TerminalStream) else stream
