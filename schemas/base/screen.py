"""Print tables, colours and bars on a terminal. Text from data is shown with control characters escaped, and never read as markup."""

import re
import sys
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import IO, Any

from rich import box
from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.table import Column, Table
from rich.text import Text
from rich.theme import Theme

from .terminal import BAD, GOOD, WARNING, beneath, printable, wrapped

STYLES = Theme({"good": f"color({GOOD})", "bad": f"color({BAD})", "warning": f"color({WARNING})"})
MARKS = {"✓": "good", "✗": "bad", "!": "warning"}  # cells with a colour
NO_COLOURS: Mapping[str, str] = {}


class Screen(Console):
    """The only console of the project. Only rich itself colours text and moves the cursor."""

    def __init__(self, *, stderr: bool = False, quiet: bool = False, file: IO[str] | None = None, **options: Any) -> None:
        # The stream is given: rich replaces sys.stderr while a bar moves, and would then write to the stream that escapes cursor codes.
        stream = file or beneath(sys.stderr if stderr else sys.stdout)
        super().__init__(file=stream, quiet=quiet, markup=False, emoji=False, highlight=False, theme=STYLES, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Escape text before its width is measured."""
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render, escape what did not come as a string, and remove the blanks with which rich fills lines."""
        blanks: list[Segment] = []
        for text, style, control in super().render(renderable, options):
            if control:
                yield from (*blanks, Segment(text, style, control))
                blanks = []
                continue
            for part in re.split("(\n)", printable(text)):
                words = part.rstrip(" ")
                if words == "\n":
                    blanks = []
                if words:
                    yield from (*blanks, Segment(words, style))
                    blanks = []
                if len(words) < len(part):
                    blanks.append(Segment(part[len(words) :], style))
        yield from blanks

    def print_words(self, text: str, indent: int = 0, mark: str = "") -> None:
        """Print a line after a mark, on a terminal broken between words, later lines indented. rich itself cuts words that are too long."""
        line = Text(wrapped(printable(f"{mark} {text}" if mark else text), self.file, indent))
        if mark:
            line.stylize(MARKS[mark], 0, len(mark))
        self.print(line, soft_wrap=True)

    def print_table(
        self,
        columns: Mapping[str, Sequence[str]],
        title: str | None = None,
        right: Collection[str] = (),
        sections: Collection[int] = (),
        colours: Mapping[str, str] = NO_COLOURS,
    ) -> None:
        """Print a table in the project's one style: a title, a line under the heads, no borders.

        Columns map a head to one cell per row, as text and never as markup; those in `right` are right-aligned. A section ends after each
        row in `sections`. `colours` are those of cells that end with a word.
        """
        if title:
            self.print(Text(title, "bold"), soft_wrap=True)
        heads = (Column(head, overflow="fold", vertical="top", justify="right" if head in right else "left") for head in columns)
        table = Table(*heads, box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
        for number, cells in enumerate(zip(*columns.values(), strict=True)):
            texts = (Text(printable(cell), MARKS.get(cell) or colours.get((cell.split() or [""])[-1], "")) for cell in cells)
            table.add_row(*texts, end_section=number in sections)
        self.print(table)


class ProgressScreen(Screen):
    """Stderr with progress bars. A closed pipe does not end the work."""

    def __init__(self, quiet: bool = False) -> None:
        # FORCE_COLOR, which notebooks and CI set, makes rich draw bars: in a pipe, each frame would be a line of its own.
        super().__init__(stderr=True, quiet=quiet, force_terminal=beneath(sys.stderr).isatty())

    def on_broken_pipe(self) -> None:
        """Continue without output."""
        self.quiet = True
