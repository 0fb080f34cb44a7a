"""Show replies as JSON, as streamed text, or side by side."""

import sys
from collections.abc import Callable, Iterator, Sequence

import click
import orjson
from rich.console import Group, RenderableType
from rich.constrain import Constrain
from rich.live import Live
from rich.table import Table
from rich.text import Text

from ...schemas.base.counted import counted
from ...schemas.base.screen import Screen
from ...schemas.base.terminal import beneath, echo_styled, printable
from .chat_session import as_json
from .chat_stream import ReplyStream

NARROW = 80  # below this many columns, two replies are shown one below the other


class JsonRenderer:
    """Prints one JSON object per complete reply."""

    def show(self, streams: Sequence[ReplyStream], growing: Iterator[ReplyStream]) -> None:
        """Wait for the replies, then print them."""
        for _ in growing:
            pass
        for stream in streams:
            click.echo(orjson.dumps(as_json(stream)))


class PlainRenderer:
    """Prints replies as text: in a pipe, and in a terminal for one model. With two models, each reply follows its model's name."""

    def __init__(self, is_terminal: bool) -> None:
        self.is_terminal = is_terminal

    def show(self, streams: Sequence[ReplyStream], growing: Iterator[ReplyStream]) -> None:
        """Stream one reply; print two when both are complete. The output always ends with a line break."""
        try:
            for stream in growing:
                if len(streams) == 1:
                    self._write(stream.part)
        finally:
            if len(streams) > 1:
                self._write("\n".join(f"[{stream.model.name}] {stream.text}" for stream in streams))
            self._write("\n")
        if self.is_terminal or any(stream.finish == "length" for stream in streams):
            print_ends(streams)

    def _write(self, text: str) -> None:
        """Write text. A pipe gets every character unchanged, unlike with click.echo."""
        out = sys.stdout if self.is_terminal else beneath(sys.stdout)
        out.write(printable(text) if self.is_terminal else text)
        sys.stdout.flush()


class SideBySideRenderer:
    """Shows two growing replies in columns, or one below the other in a narrow terminal."""

    def __init__(self, console: Screen) -> None:
        self.console = console

    def show(self, streams: Sequence[ReplyStream], growing: Iterator[ReplyStream]) -> None:
        """Show both until both have ended."""
        with Live(console=self.console, refresh_per_second=12, get_renderable=self._growing(streams)):
            for _ in growing:
                pass
        print_ends(streams)

    def _growing(self, streams: Sequence[ReplyStream]) -> Callable[[], RenderableType]:
        """Return a function that renders the replies, leaving room at the right edge for `^C`, which would otherwise wrap."""
        return lambda: Constrain(side_by_side(streams, self.console.width), self.console.width - len("^C") - 1)


def side_by_side(streams: Sequence[ReplyStream], width: int) -> RenderableType:
    """Return the current replies, each under its model's name."""
    cells = [(Text(stream.model.name, style="bold"), Text(printable(stream.shown))) for stream in streams]
    if width < NARROW:
        return Group(*(part for cell in cells for part in cell))
    table = Table.grid(expand=True, padding=(0, 3, 0, 0))
    for _ in cells:
        table.add_column(ratio=1, overflow="fold")
    table.add_row(*(name for name, _ in cells))
    table.add_row(*(text for _, text in cells))
    return table


def print_ends(streams: Sequence[ReplyStream]) -> None:
    """Print to stderr each reply's number of tokens, its time, and why it ended early."""
    for stream in streams:
        count = len(stream.token_ids)
        name = f"{stream.model.name}: " if len(streams) > 1 else ""
        why = {"length": ", cut off (by --max-tokens or the model's context)", "cancelled": ", stopped"}.get(stream.finish, "")
        echo_styled((f"{name}{counted(count, 'token')} in {stream.seconds:.1f} s{why}", {"dim": True}), err=True)
