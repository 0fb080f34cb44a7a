"""Find the keys that a source names (keep_meta, ignore_keys, system_key) and no row has: a misspelt name would do nothing."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from difflib import get_close_matches
from typing import Any

OPTIONAL = ("input_key", "system_key")  # a row may lack them; without any other key that an option names, it would be dropped


def named_keys(options: Mapping[str, Any], ignore_keys: Iterable[str] = ()) -> Iterator[tuple[str, str]]:
    """Yield each key that a source names, with the setting that names it."""
    yield from (("ignore_keys", key) for key in ignore_keys)
    for option, value in options.items():
        if option == "keep_meta":
            yield from ((f"options.{option}", key) for key in value)
        elif option in OPTIONAL and value is not None:
            yield f"options.{option}", value


def present_keys(named: Iterable[tuple[str, str]], paths: Collection[str]) -> set[str]:
    """Return the named keys that rows have, by the paths of all their keys: at the top, or in an object."""
    return {key for _, key in named if key in paths or any(path.endswith(f".{key}") for path in paths)}


def absent_note(setting: str, key: str, unread: Iterable[str]) -> str:
    """Return in words that no row has the key, with the unread key that may be meant."""
    near = get_close_matches(key, [path for path in unread], n=1)
    return f"no row has the key {key!r} that {setting} names" + (f": did you mean {near[0]!r}?" if near else "")
