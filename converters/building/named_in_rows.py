"""Find what a source names and no row has: keys (keep_meta, ignore_keys, system_key), and values (roles, label_names, languages,
keep_rows). A misspelt name would do nothing.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from ...schemas.base.suggestion import did_you_mean

OPTIONAL = ("input_key", "system_key")  # a row may lack them; without any other key that an option names, it would be dropped
LISTS = ("keep_meta", "ignore_message_keys")  # of keys
_KEYS = ("ignore_keys", *(f"options.{option}" for option in LISTS), *(f"options.{option}" for option in OPTIONAL))
Named = tuple[str, str]  # a setting, and a key or value that it names


class UsedMapping(dict[str, Any]):
    """An option that maps values of rows. It records which were looked up; listing or copying its entries uses none."""

    def __init__(self, entries: Mapping[str, Any]) -> None:
        super().__init__(entries)
        self.used: set[str] = set()

    def __getitem__(self, key: str) -> Any:
        value = super().__getitem__(key)
        self.used.add(key)
        return value

    def get(self, key: str, default: Any = None, /) -> Any:
        return self[key] if key in self else default


class UsedList(list[str]):
    """An option that lists values of rows. It records which were found."""

    def __init__(self, entries: Iterable[str]) -> None:
        super().__init__(entries)
        self.used: set[str] = set()

    def __contains__(self, value: object) -> bool:
        if found := super().__contains__(value):
            self.used.add(str(value))
        return found


class UsedLists(dict[str, UsedList]):
    """An option that lists values of columns. It records which were found, as `column: value`."""

    @property
    def used(self) -> set[str]:
        """Return the values that were found."""
        return {f"{column}: {value}" for column, values in self.items() for value in values.used}


class NamedInRows:
    """What a source names, compared with its rows. `options` are those to give to the converter, which records the values it looks up."""

    def __init__(self, options: Mapping[str, Any], ignore_keys: Iterable[str] = ()) -> None:
        self.options = {name: _tracked(f"options.{name}", value) for name, value in options.items()}
        self.keys = [*named_keys(options, ignore_keys)]

    def present(self, paths: Collection[str]) -> frozenset[Named]:
        """Return what rows have, by the paths of all their keys: a key may be at the top, or in an object."""
        keys = {(setting, key) for setting, key in self.keys if key in paths or any(path.endswith(f".{key}") for path in paths)}
        return frozenset(keys | {(f"options.{name}", entry) for name, value in self._tracked() for entry in value.used})

    def absent(self, present: Collection[Named]) -> list[list[str]]:
        """Return the settings, and what they name, that are not in `present`."""
        values = ((f"options.{name}", entry) for name, value in self._tracked() for entry in _entries(value))
        return [[*one] for one in (*self.keys, *values) if one not in present]

    def _tracked(self) -> Iterator[tuple[str, UsedMapping | UsedList | UsedLists]]:
        yield from ((name, value) for name, value in self.options.items() if isinstance(value, UsedMapping | UsedList | UsedLists))


def _entries(value: UsedMapping | UsedList | UsedLists) -> Iterable[str]:
    return [f"{column}: {entry}" for column, entries in value.items() for entry in entries] if isinstance(value, UsedLists) else value


def _tracked(setting: str, value: Any) -> Any:
    if isinstance(value, dict) and value and all(isinstance(entry, list | tuple) for entry in value.values()):
        return UsedLists({column: UsedList(entries) for column, entries in value.items()})
    if isinstance(value, dict):
        return UsedMapping(value)
    is_list = isinstance(value, list | tuple) and setting not in _KEYS and all(isinstance(entry, str) for entry in value)
    return UsedList(value) if is_list else value


def named_keys(options: Mapping[str, Any], ignore_keys: Iterable[str] = ()) -> Iterator[Named]:
    """Yield each key that a source names, with the setting that names it."""
    yield from (("ignore_keys", key) for key in ignore_keys)
    for option, value in options.items():
        if option in LISTS:
            yield from ((f"options.{option}", key) for key in value)
        elif option in OPTIONAL and value is not None:
            yield f"options.{option}", value


def absent_note(setting: str, name: str, unread: Iterable[str]) -> str:
    """Return in words that no row has the key or value, with the unread key that may be meant."""
    if setting not in _KEYS:
        return f"no row has {name!r}, which {setting} names"
    near = did_you_mean(name, unread)
    return f"no row has the key {name!r} that {setting} names" + (f": {near}" if near else "")
