"""Print tables in one style without cutting words or numbers, as rich does to make room.

Columns that do not fit side by side continue in another table, which repeats the key columns.
"""

import textwrap
from collections.abc import Collection, Mapping, Sequence

from rich.cells import cell_len

from ...schemas.base.screen import NO_COLOURS, Screen

Columns = Mapping[str, Sequence[str]]  # head -> one cell per row; both may have several lines
_FOLDS = range(34, 11, -2)  # widths at which cells wrap in a narrow terminal: the first at which the table fits, else the last


def print_columns(
    keys: Columns,
    columns: Columns,
    console: Screen,
    title: str | None = None,
    right: Collection[str] = (),
    colours: Mapping[str, str] = NO_COLOURS,
) -> None:
    """Print the columns after the key columns, in as many tables as the console's width requires; `right` and `colours` as in
    Screen.print_table."""
    whole = keys, columns
    for width in _FOLDS:
        if table_width({**keys, **columns}) <= console.width:
            break
        keys, columns = (_folded(part, width) for part in whole)
    for part in fitting(columns, console.width - table_width(keys)):
        console.print_table({**keys, **{head: columns[head] for head in part}}, title, right, colours=colours)
        title = None


def fitting(columns: Columns, width: int) -> list[list[str]]:
    """Return the columns' heads in groups of at most `width` characters, or of a single column."""
    groups: list[list[str]] = [[]]
    left = width
    for head, cells in columns.items():
        if groups[-1] and column_width(head, cells) > left:
            groups.append([])
            left = width
        groups[-1].append(head)
        left -= column_width(head, cells)
    return groups


def column_width(head: str, cells: Sequence[str]) -> int:
    """Return the width of a column with its padding."""
    return 2 + max(cell_len(line) for text in (head, *cells) for line in text.split("\n"))


def table_width(columns: Columns) -> int:
    """Return the width of a whole table with its borders."""
    return 1 + sum(column_width(head, cells) for head, cells in columns.items())


def _folded(columns: Columns, width: int) -> Columns:
    """Wrap heads and words; a number stays whole, with its interval below it."""
    return {_wrapped(head, width): [_wrapped(cell.replace(" [", "\n["), width) for cell in cells] for head, cells in columns.items()}


def _wrapped(text: str, width: int) -> str:
    """Wrap the text between words; an interval counts as one word."""
    lines = [line if line.startswith("[") else textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
             for line in text.split("\n")]  # fmt: skip
    return "\n".join(lines)
