"""Plain values of a section -> what a frozen section holds."""

from typing import Any, NamedTuple


def frozen(section: type[NamedTuple], values: dict[str, Any]) -> dict[str, Any]:
    """Lists as tuples, and 4.0 as 4 where a whole number is meant (JSON Schema takes both for an integer)."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, float) and section.__annotations__[key] in _WHOLE:
            value = int(value)
        found[key] = tuple(value) if isinstance(value, list) else value
    return found


_WHOLE = (int, int | None)
