"""Tables on the terminal, in one style, and never with a word or number cut: rich makes room by cutting cells.

Columns that do not fit beside each other go on in a further table, which begins with the key columns again.
"""

import textwrap
from collections.abc import Collection, Mapping, Sequence

from rich.cells import cell_len

from ...schemas.base.screen import Screen

Columns = Mapping[str, Sequence[str]]  # head -> a cell a row; both may have several lines
_FOLDS = range(34, 11, -2)  # characters at which cells wrap in a narrow terminal: the first at which the table fits, else the last


def print_columns(keys: Columns, columns: Columns, console: Screen, title: str | None = None, right: Collection[str] = ()) -> None:
    """Print the columns beside the key columns, in as many tables as the console's width asks for; those of `right` are right-aligned."""
    whole = keys, columns
    for width in _FOLDS:
        if table_width({**keys, **columns}) <= console.width:
            break
        keys, columns = (_folded(part, width) for part in whole)
    for part in fitting(columns, console.width - table_width(keys)):
        console.print_table({**keys, **{head: columns[head] for head in part}}, title, right)
        title = None


def fitting(columns: Columns, width: int) -> list[list[str]]:
    """The columns' heads in groups that are at most `width` wide, or of one column."""
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
    """Characters of a column with the room around it."""
    return 2 + max(cell_len(line) for text in (head, *cells) for line in text.split("\n"))


def table_width(columns: Columns) -> int:
    """Characters of a whole table with its borders."""
    return 1 + sum(column_width(head, cells) for head, cells in columns.items())


def _folded(columns: Columns, width: int) -> Columns:
    """Heads and words over several lines; a number stays whole, with its interval under it."""
    return {_wrapped(head, width): [_wrapped(cell.replace(" [", "\n["), width) for cell in cells] for head, cells in columns.items()}


def _wrapped(text: str, width: int) -> str:
    """Lines of so many characters, broken between words alone; an interval is one word."""
    lines = [line if line.startswith("[") else textwrap.fill(line, width, break_long_words=False, break_on_hyphens=False)
             for line in text.split("\n")]  # fmt: skip
    return "\n".join(lines)
