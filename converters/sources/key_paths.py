"""Find a value inside a nested row by its path, written as in `ignore_keys`: `data.text`, `labels[]`, `annotations[].result[].value`."""

import re
from collections.abc import Iterator
from typing import Any

_NOT_SUBMITTED = ("discarded", "draft", "pending")  # a response in Argilla
_OF_JQ = re.compile(r"[A-Za-z_]\w*(?:\[\])*(?:\.[A-Za-z_]\w*(?:\[\])*)*", re.ASCII)
_STEPS = re.compile(r"\[\]|[^.\[\]]+")


class NoValue(Exception):
    """A path leads to no value that a record can hold. `reason` and `filtered` are those of the row's drop."""

    reason = ""
    filtered = False


class SeveralValues(NoValue):
    """A path leads to different values, of which a record can hold one."""

    reason = "several_values"


class TakenBack(NoValue):
    """A path leads only through items that their author took back or did not submit, as Label Studio and Argilla mark them."""

    reason = "was_cancelled"
    filtered = True


def is_path(name: str) -> bool:
    """Return whether a column's name may be a path."""
    return "." in name or "[]" in name


def row_for_each(name: str) -> str:
    """Return the filter of jq that writes a row for each value at a path, in the place of the path's first key; "" for other names."""
    return f"(arrays[], objects) | .{name} as $one | .{_STEPS.findall(name)[0]} = $one" if _OF_JQ.fullmatch(name) else ""


def first_key(row: Any, name: str) -> str:
    """Return the row's key at which the path begins: the name itself if the row has it, or if it is no path."""
    if not is_path(name) or not isinstance(row, dict) or name in row:
        return name
    return str(_STEPS.findall(name)[0])


def value_at(row: dict[str, Any], name: str) -> Any:
    """Return the value of a column, or at a path; None if nothing is there. A key that is spelt like a path comes first.

    Raises SeveralValues if the lists on the path hold values that differ, and TakenBack if all of their items were taken back.
    """
    if name in row or not is_path(name):
        return row.get(name)
    found: list[Any] = []
    gone: list[str] = []
    for value in _found(row, _STEPS.findall(name), gone):
        if value is not None and value not in found:
            found.append(value)
    if gone and not found:
        raise TakenBack(f"{name!r} has only items with was_cancelled: true, or that were not submitted")
    if len(found) > 1:
        shown = ", ".join(f"{value!r:.30}" for value in found[:3])
        raise SeveralValues(f"{name!r} has {len(found)} different values: {shown}")
    return found[0] if found else None


def was_taken_back(item: Any) -> bool:
    """Return whether an item of a list is one that its author took back or did not submit."""
    if not isinstance(item, dict):
        return False
    return ("was_cancelled" in item and item["was_cancelled"] is True) or ("status" in item and item["status"] in _NOT_SUBMITTED)


def _found(value: Any, steps: list[str], gone: list[str]) -> Iterator[Any]:
    if not steps:
        yield value
    elif steps[0] == "[]":
        for item in value if isinstance(value, list) else ():
            if was_taken_back(item):
                gone.append("was_cancelled")
            else:
                yield from _found(item, steps[1:], gone)
    elif isinstance(value, dict) and steps[0] in value:
        yield from _found(value[steps[0]], steps[1:], gone)
