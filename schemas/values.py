"""The plain values of a recipe: look up, set and remove by key path, and convert for a frozen section. Nothing is changed in place."""

from typing import Any, Literal, NamedTuple

from .yaml_source import KeyPath

_WHOLE = (int, int | None, int | Literal["auto"])


def is_written(values: Any, path: KeyPath) -> bool:
    """Return whether the values have the key at `path`, whatever its value."""
    for part in path:
        try:
            values = values[part]
        except (KeyError, IndexError, TypeError):
            return False
    return True


def replaced_at(values: Any, path: KeyPath, value: Any) -> Any:
    """Return a copy with `value` at `path`; missing mappings are created."""
    if not path:
        return value
    head, rest = path[0], path[1:]
    if isinstance(values, list):
        return [replaced_at(item, rest, value) if index == head else item for index, item in enumerate(values)]
    return {**(values or {}), head: replaced_at((values or {}).get(head), rest, value)}


def without(values: Any, path: KeyPath) -> Any:
    """Return a copy without the key at `path`."""
    parent: Any = values
    for part in path[:-1]:
        parent = parent[part]
    return replaced_at(values, path[:-1], {key: value for key, value in parent.items() if key != path[-1]})


def frozen(section: type[NamedTuple], values: dict[str, Any]) -> dict[str, Any]:
    """Return lists as tuples, and 4.0 as 4 for integers (JSON Schema accepts both)."""
    found: dict[str, Any] = {}
    for key, value in values.items():
        if isinstance(value, float) and section.__annotations__[key] in _WHOLE:
            value = int(value)
        found[key] = tuple(value) if isinstance(value, list) else value
    return found
