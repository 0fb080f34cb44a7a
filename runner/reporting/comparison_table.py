"""A comparison of runs on the terminal, however narrow it is: no number is cut, and no value that differs."""

from typing import Any

from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from ...schemas.dotted import one_line
from .fitting import column_width, fitting, table_width
from .metrics_table import number, verdict


def print_comparison(found: dict[str, Any], console: Console) -> None:
    """What differs, section by section, then a row for each metric: every run's number and how it differs from the first run's."""
    letters = run_letters(found)
    for letter, name, state in zip(letters, found["runs"], found["states"], strict=True):
        console.print(f"{letter}  {name}  ({state})", markup=False, highlight=False, soft_wrap=True)
    for section, differences in found["differences"].items():
        console.print()
        if not differences:
            console.print(f"{section}: the same", markup=False)
            continue
        _print_differences(section, differences, letters, console)
    console.print()
    _print_metrics(found, letters, console)
    for note in found["notes"]:
        console.print(note, markup=False)


def _print_differences(section: str, differences: dict[str, list[Any]], letters: list[str], console: Console) -> None:
    """The values of each key side by side, or one below the other where they do not fit."""
    shown = {key: [one_line(value) for value in values] for key, values in differences.items()}
    columns = {f"{section}: what differs": list(shown), **dict(zip(letters, map(list, zip(*shown.values(), strict=True)), strict=True))}
    if table_width(columns) <= console.width:
        console.print(_table(columns))
        return
    console.print(f"{section}: what differs", style="bold", markup=False)
    for key, values in shown.items():
        console.print(key, markup=False, highlight=False, soft_wrap=True)
        for letter, value in zip(letters, values, strict=True):
            console.print(f"  {letter}  {value}", markup=False, highlight=False, soft_wrap=True)


def _print_metrics(found: dict[str, Any], letters: list[str], console: Console) -> None:
    """One table, or as many as the width asks for, each with the metrics' names."""
    names, columns = _metric_columns(found, letters)
    if table_width({"metric": names, **columns}) > console.width:
        names = [name.replace(" ", "\n") for name in names]
        columns = {head: [_folded(cell) for cell in cells] for head, cells in columns.items()}
    title = f"{found['rows']} rows, {found['confidence']:.0%} intervals, paired bootstrap"
    for part in fitting(columns, console.width - column_width("metric", names) - 1):
        console.print(_table({"metric": names, **{head: columns[head] for head in part}}, title))
        title = None


def _metric_columns(found: dict[str, Any], letters: list[str]) -> tuple[list[str], dict[str, list[str]]]:
    """The metrics' names with their units, and by its head each run's numbers and how they differ from the first run's."""
    metrics = found["metrics"]
    names = [name.replace("_", " ") + (f" ({facts['unit']})" if facts["unit"] else "") for name, facts in metrics.items()]
    columns: dict[str, list[str]] = {}
    for index, letter in enumerate(letters):
        columns[letter] = [number(facts["values"][index]) for facts in metrics.values()]
        if index:
            columns[f"{letter} - {letters[0]}"] = [verdict(facts["changes"][index - 1], facts["better"]) for facts in metrics.values()]
    return names, columns


def _folded(cell: str) -> str:
    """A number with its interval under it, a change with its long word under it."""
    return cell.replace(" [", "\n[").replace(" distinguishable", "\ndistinguishable")


def _table(columns: dict[str, list[str]], title: str | None = None) -> Table:
    """The columns as text, not markup: a value may hold brackets."""
    table = Table(*(Column(Text(head), overflow="fold") for head in columns), title=title)
    for line in zip(*columns.values(), strict=True):
        table.add_row(*map(Text, line))
    return table


def run_letters(found: dict[str, Any]) -> list[str]:
    """A, B, C ... for the runs; numbers after Z."""
    return [chr(ord("A") + index) if index < 26 else str(index + 1) for index in range(len(found["runs"]))]
