"""Check that Axolotl keeps what we rendered: every key must survive its validation with its value."""

from enum import Enum
from typing import Any

# Lists of entries that validation resolves: it may add keys to an entry, but must not remove or change ours.
_ENTRIES = {"datasets", "test_datasets", "plugins"}


def round_trip_differences(rendered: dict[str, Any], loaded: dict[str, Any]) -> list[str]:
    """Return a line for each rendered key that validation removed or changed; empty if there is none."""
    lost = []
    for key, value in rendered.items():
        if key not in loaded or loaded[key] is None:
            lost.append(f"{key}: {value!r} is removed")
        elif key in _ENTRIES:
            lost += _lost_inside(key, value, loaded[key])
        elif key == "deepspeed" and isinstance(loaded[key], dict):
            continue  # the file's content replaces its path
        elif not same(value, loaded[key]):
            lost.append(f"{key}: {value!r} becomes {loaded[key]!r}")
    return lost


def _lost_inside(key: str, value: list[Any], loaded: Any) -> list[str]:
    if len(value) != len(loaded):
        return [f"{key}: {len(value)} entries become {len(loaded)}"]
    pairs = zip(value, loaded, strict=True)
    return [
        f"{key}[{index}].{name}: {wanted!r} becomes {dict(found).get(name)!r}"
        for index, (entry, found) in enumerate(pairs)
        if isinstance(entry, dict)
        for name, wanted in entry.items()
        if not same(wanted, dict(found).get(name))
    ]


def same(value: Any, loaded: Any) -> bool:
    """Return whether the values are equal, an enumeration's member, or a section with added keys. 1 equals neither "1" nor true."""
    loaded = loaded.value if isinstance(loaded, Enum) else loaded
    if isinstance(value, dict) and isinstance(loaded, dict):
        return all(same(inner, loaded.get(key)) for key, inner in value.items())
    if isinstance(value, list) and isinstance(loaded, list | tuple):
        return len(value) == len(loaded) and all(map(same, value, loaded))
    return value == loaded and isinstance(value, bool) == isinstance(loaded, bool)
