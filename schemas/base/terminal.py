"""Text for a terminal: control characters of data are shown, never obeyed."""

import re
from typing import IO, Any, TextIO

# C0 and C1 but tab and line feed, and what reorders or hides text (bidirectional controls, zero-width characters, separators of lines).
_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb\ud800-\udfff]")
# What rich moves its progress bars with.
_CURSOR = re.compile("(\x1b\\[(?:[0-9;]{0,16}m|[0-9]{0,4}A|2K|\\?25[hl])|\r)")
_COLOUR = re.compile("(\x1b\\[[0-9;]{0,16}m)")


def printable(text: str) -> str:
    """The text with every such character written as its escape: `\\x1b`, `\\u202e`."""
    return _UNSAFE.sub(lambda match: ascii(match.group())[1:-1], text)


def wrapped(text: str, stream: IO[str], indent: int = 0) -> str:
    """Break the text between words at the width of the terminal, later lines indented; unchanged where the stream is not a terminal."""
    if not stream.isatty():
        return text
    import shutil
    import textwrap

    width = max(shutil.get_terminal_size().columns, indent + 20)
    wrapper = textwrap.TextWrapper(width, subsequent_indent=" " * indent, break_long_words=False, break_on_hyphens=False)
    return "\n".join(wrapper.fill(line) for line in text.split("\n"))


class TerminalStream:
    """A text stream that escapes what it is given, but for colours: the one way from this program to stdout and stderr."""

    def __init__(self, stream: TextIO, allowed: re.Pattern[str] = _COLOUR) -> None:
        self._stream, self._allowed = stream, allowed

    def write(self, text: str) -> int:
        """Write the text, escaped."""
        self._stream.write("".join(part if number % 2 else printable(part) for number, part in enumerate(self._allowed.split(text))))
        return len(text)

    @property
    def rich_proxied_file(self) -> "TerminalStream":
        """The stream that rich writes to in the place of this one: its bars move the cursor."""
        return TerminalStream(self._stream, _CURSOR)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)
