"""Which columns of a table fit beside each other: rich makes room by cutting cells, and a number that is cut is a wrong number."""

from rich.cells import cell_len


def fitting(columns: dict[str, list[str]], width: int) -> list[list[str]]:
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


def column_width(head: str, cells: list[str]) -> int:
    """Characters of a column with its border; a head or cell may have several lines."""
    return 3 + max(cell_len(line) for text in (head, *cells) for line in text.split("\n"))


def table_width(columns: dict[str, list[str]]) -> int:
    """Characters of a whole table with its borders."""
    return 1 + sum(column_width(head, cells) for head, cells in columns.items())
