"""A comparison of runs on the terminal."""

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from ..plain import one_line
from .metrics_table import number, verdict


def print_comparison(found: dict[str, Any], console: Console) -> None:
    """What differs, section by section, then a row for each metric: every run's number and how it differs from the first run's."""
    letters = run_letters(found)
    for letter, name, state in zip(letters, found["runs"], found["states"], strict=True):
        console.print(f"{letter}  {name}  ({state})", markup=False, highlight=False)
    for section, differences in found["differences"].items():
        console.print()
        if not differences:
            console.print(f"{section}: the same", markup=False)
            continue
        table = Table(f"{section}: what differs", *letters, title_justify="left")
        for key, values in differences.items():
            table.add_row(escape(key), *(escape(one_line(value)) for value in values))
        console.print(table)
    console.print()
    title = f"{found['rows']} rows, {found['confidence']:.0%} intervals, paired bootstrap"
    table = Table("metric", letters[0], *(cell for letter in letters[1:] for cell in (letter, f"{letter} - {letters[0]}")), title=title)
    for name, facts in found["metrics"].items():
        changes = [verdict(change, facts["better"]) for change in facts["changes"]]
        values = [escape(number(value)) for value in facts["values"]]
        pairs = [cell for pair in zip(values[1:], changes, strict=True) for cell in pair]
        table.add_row(name.replace("_", " ") + (f" ({facts['unit']})" if facts["unit"] else ""), values[0], *pairs)
    console.print(table)
    for note in found["notes"]:
        console.print(note, markup=False)


def run_letters(found: dict[str, Any]) -> list[str]:
    """A, B, C ... for the runs; numbers after Z."""
    return [chr(ord("A") + index) if index < 26 else str(index + 1) for index in range(len(found["runs"]))]
