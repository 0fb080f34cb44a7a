"""Convert a section's plain values to those of a frozen section."""

from typing import Any, Literal, NamedTuple


def frozen(section: type[NamedTuple], values: dict[str, Any]) -> dict[str, Any]:
    """Return lists as tuples, and 4.0 as 4 for integers (JSON Schema accepts both)."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, float) and section.__annotations__[key] in _WHOLE:
            value = int(value)
        found[key] = tuple(value) if isinstance(value, list) else value
    return found


_WHOLE = (int, int | None, int | Literal["auto"])
