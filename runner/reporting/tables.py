"""Tables on the terminal, in one style, and never with a word or number cut: rich makes room by cutting cells.

Columns that do not fit beside each other go on in a further table, which begins with the key columns again.
"""

import textwrap
from collections.abc import Mapping, Sequence

from rich import box
from rich.cells import cell_len
from rich.table import Column, Table

from ...schemas.base.screen import Screen

Columns = Mapping[str, Sequence[str]]  # head -> a cell a row; both may have several lines
_FOLDS = range(34, 11, -2)  # characters at which cells wrap in a narrow terminal: the first at which the table fits, else the last


def print_columns(keys: Columns, columns: Columns, console: Screen, title: str | None = None) -> None:
    """Print the columns beside the key columns, in as many tables as the console's width asks for."""
    whole = keys, columns
    for width in _FOLDS:
        if table_width({**keys, **columns}) <= console.width:
            break
        keys, columns = (_folded(part, width) for part in whole)
    for part in fitting(columns, console.width - table_width(keys)):
        console.print(plain_table({**keys, **{head: columns[head] for head in part}}, title))
        title = None


def plain_table(columns: Columns, title: str | None = None) -> Table:
    """The columns as text, not markup: a value may hold brackets."""
    heads = (Column(head, overflow="fold", vertical="top") for head in columns)
    table = Table(*heads, title=title, title_justify="left", box=box.SIMPLE_HEAD, padding=(0, 1, 0, 0), pad_edge=False)
    for cells in zip(*columns.values(), strict=True):
        table.add_row(*cells)
    return table


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
    return 3 + max(cell_len(line) for text in (head, *cells) for line in text.split("\n"))


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
