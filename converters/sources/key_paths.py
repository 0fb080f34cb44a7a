"""Find a value inside a nested row by its path, written as in `ignore_keys`: `data.text`, `labels[]`, `annotations[].result[].value`."""

import re
from collections.abc import Iterator
from typing import Any

_STEPS = re.compile(r"\[\]|[^.\[\]]+")


class SeveralValues(Exception):
    """A path leads to different values, of which a record can hold one."""


def is_path(name: str) -> bool:
    """Return whether a column's name may be a path."""
    return "." in name or "[]" in name


def first_key(row: Any, name: str) -> str:
    """Return the row's key at which the path begins: the name itself if the row has it, or if it is no path."""
    if not is_path(name) or not isinstance(row, dict) or name in row:
        return name
    return str(_STEPS.findall(name)[0])


def value_at(row: dict[str, Any], name: str) -> Any:
    """Return the value of a column, or at a path; None if nothing is there. A key that is spelt like a path comes first.

    Raises SeveralValues if the lists on the path hold values that differ.
    """
    if name in row or not is_path(name):
        return row.get(name)
    found: list[Any] = []
    for value in _found(row, _STEPS.findall(name)):
        if value is not None and value not in found:
            found.append(value)
    if len(found) > 1:
        shown = ", ".join(f"{value!r:.30}" for value in found[:3])
        raise SeveralValues(f"{name!r} has {len(found)} different values: {shown}")
    return found[0] if found else None


def _found(value: Any, steps: list[str]) -> Iterator[Any]:
    if not steps:
        yield value
    elif steps[0] == "[]":
        for item in value if isinstance(value, list) else ():
            yield from _found(item, steps[1:])
    elif isinstance(value, dict) and steps[0] in value:
        yield from _found(value[steps[0]], steps[1:])
