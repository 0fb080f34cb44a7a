"""How replies are shown: as JSON, as text that grows, or side by side."""

import sys
from collections.abc import Callable, Iterator, Sequence

import click
import orjson
from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ...schemas.base.screen import Screen
from ...schemas.base.terminal import beneath, echo_styled, printable
from .chat_session import as_json
from .chat_stream import ReplyStream

NARROW = 80  # columns under which two replies stand below each other


class JsonRenderer:
    """One JSON object a reply, when it is whole."""

    def show(self, made: Sequence[ReplyStream], growing: Iterator[ReplyStream]) -> None:
        """Wait for the replies, then print them."""
        for _ in growing:
            pass
        for speech in made:
            click.echo(orjson.dumps(as_json(speech)))


class PlainRenderer:
    """Replies as text: for a pipe, and in a terminal for one model. With two, each reply has its model's name before it."""

    def __init__(self, is_terminal: bool) -> None:
        self.is_terminal = is_terminal

    def show(self, made: Sequence[ReplyStream], growing: Iterator[ReplyStream]) -> None:
        """One reply as it comes; two when both are there. However it ends, the line does."""
        try:
            for speech in growing:
                if len(made) == 1:
                    self._write(speech.part)
        finally:
            if len(made) > 1:
                self._write("\n".join(f"[{speech.speaker.name}] {speech.text}" for speech in made))
            self._write("\n")
        if self.is_terminal or any(speech.finish == "length" for speech in made):
            tell_ends(made)

    def _write(self, text: str) -> None:
        """A pipe gets every character as it is, which click.echo would not give it."""
        stream = sys.stdout if self.is_terminal else beneath(sys.stdout)
        stream.write(printable(text) if self.is_terminal else text)
        sys.stdout.flush()


class BesideRenderer:
    """Two replies growing in columns, or below each other in a narrow terminal."""

    def __init__(self, console: Screen) -> None:
        self.console = console

    def show(self, made: Sequence[ReplyStream], growing: Iterator[ReplyStream]) -> None:
        """Both, until both have ended."""
        with Live(console=self.console, refresh_per_second=12, get_renderable=self._growing(made)):
            for _ in growing:
                pass
        tell_ends(made)

    def _growing(self, made: Sequence[ReplyStream]) -> Callable[[], RenderableType]:
        """The replies as they stand; not to the right edge, where the `^C` of a person who stops them would begin another line."""
        return lambda: Constrain(beside(made, self.console.width), self.console.width - len("^C") - 1)


def beside(made: Sequence[ReplyStream], width: int) -> RenderableType:
    """The replies as they stand, each under its model's name."""
    cells = [(Text(speech.speaker.name, style="bold"), Text(printable(speech.text.strip()) or "…")) for speech in made]
    if width < NARROW:
        return Group(*(part for cell in cells for part in cell))
    table = Table.grid(expand=True, padding=(0, 3, 0, 0))
    for _ in cells:
        table.add_column(ratio=1, overflow="fold")
    table.add_row(*(name for name, _ in cells))
    table.add_row(*(text for _, text in cells))
    return table


def tell_ends(made: Sequence[ReplyStream]) -> None:
    """On stderr: how many tokens each reply has, how long they took, and why it ended before its end."""
    for speech in made:
        count = len(speech.token_ids)
        name = f"{speech.speaker.name}: " if len(made) > 1 else ""
        why = {"length": ", cut off there (--max-tokens, or the model's context)", "cancelled": ", stopped"}.get(speech.finish, "")
        echo_styled((f"{name}{count} tokens in {speech.seconds:.1f} s{why}", {"dim": True}), err=True)
