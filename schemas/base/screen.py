"""Tables, colours and bars on a terminal: text of data is shown as it is, with control characters as escapes, and never read as markup."""

import sys
from collections.abc import Iterable
from typing import IO, Any

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment
from rich.text import Text

from .terminal import beneath, printable


class Screen(Console):
    """The only console of the project. Only rich itself colours text and moves the cursor."""

    def __init__(self, *, stderr: bool = False, quiet: bool = False, file: IO[str] | None = None, **options: Any) -> None:
        # The stream is given: rich replaces sys.stderr while a bar moves, and would then write to the stream that escapes cursor codes.
        stream = file or beneath(sys.stderr if stderr else sys.stdout)
        super().__init__(file=stream, quiet=quiet, markup=False, emoji=False, highlight=False, **options)

    def render_str(self, text: str, **options: Any) -> Text:
        """Escape text before its width is measured."""
        return super().render_str(printable(text), **options)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render, and escape what did not come as a string."""
        for text, style, control in super().render(renderable, options):
            yield Segment(text if control else printable(text), style, control)


class ProgressScreen(Screen):
    """Stderr with moving bars. The work does not end because nobody watches it any more."""

    def __init__(self, quiet: bool = False) -> None:
        super().__init__(stderr=True, quiet=quiet)

    def on_broken_pipe(self) -> None:
        """Go on without it."""
        self.quiet = True
