"""Show nested rows as tables, whose columns are named by the paths that the converter table reads: `data.text`, `labels[]`."""

from collections.abc import Iterable, Iterator
from typing import Any

from ...converters.sources.key_paths import first_key, is_path, was_taken_back
from .columns import MIN_WORDS, words

MAX_DEPTH = 8
MAX_COLUMNS = 200  # per row
_SAID = ("annotations", "responses")  # in Label Studio and Argilla
_PROPOSED = ("predictions", "drafts", "suggestions")  # what a model, or nobody yet, said beside them
_ENDS = (("start", "end"), ("start_offset", "end_offset"))  # of a part of the text


def one_level(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with `key[]` for each list of plain values."""
    return [dict(_named(key, value) if _is_plain_list(value) else (key, value) for key, value in row.items()) for row in rows]


def all_levels(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Return the rows with a column for every value in them."""
    return [_flat(row) for row in rows]


def lists_within(row: dict[str, Any]) -> dict[str, list[Any]]:
    """Return the lists of objects within the row's objects, by their paths: `chat.messages`."""
    found: dict[str, list[Any]] = {}
    inner = {key: value for key, value in row.items() if isinstance(value, dict)}
    for _ in range(MAX_DEPTH):
        inner = {f"{path}.{key}": item for path, value in inner.items() for key, item in value.items() if not is_path(str(key))}
        found |= {path: item for path, item in inner.items() if isinstance(item, list) and item and isinstance(item[0], dict)}
        inner = {path: item for path, item in inner.items() if isinstance(item, dict)}
    return found


def most_words_are_elsewhere(rows: list[dict[str, Any]], keys: list[str]) -> bool:
    """Return whether the lists and objects of the rows have more words than the columns, in texts that these do not repeat."""
    if len(rows) == 1:  # a file that is one object, such as a task with its instances
        keys = [first_key(rows[0], key) for key in keys]
    elif not all(key in row for row in rows[:1] for key in keys):
        return False  # it is within the lists and objects
    own = sum(words(text) for row in rows for text in _texts([[row.get(key) for key in keys]]))
    others = (text for row in rows for text in _texts([value for key, value in row.items() if key not in keys])
              if not any(text in str(row.get(key)) for key in keys))  # fmt: skip
    return bool(own) and sum(count for text in others if (count := words(text)) >= MIN_WORDS) > own


def _texts(values: Iterable[Any], depth: int = 0) -> Iterator[str]:
    """Yield the texts in the lists and objects among the values."""
    for value in values:
        if isinstance(value, list | dict) and depth < MAX_DEPTH:
            items = [*value.values()] if isinstance(value, dict) else value
            yield from (item for item in items if isinstance(item, str))
            yield from _texts(items, depth + 1)


def _is_plain_list(value: Any) -> bool:
    return isinstance(value, list) and bool(value) and not any(isinstance(item, list | dict) for item in value)


def _named(key: str, values: list[Any]) -> tuple[str, Any]:
    different = [value for number, value in enumerate(values) if value is not None and value not in values[:number]]
    return f"{key}[]", different[0] if len(different) == 1 else different


def _flat(row: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, list[Any]] = {}
    for key, value in row.items():
        if key in _PROPOSED and any(said in row for said in _SAID):
            continue
        for path, leaf in _leaves(value, key, 0):
            if path in found or len(found) < MAX_COLUMNS:
                found.setdefault(path, []).append(leaf)
    return {path: _named("", values)[1] for path, values in found.items()}


def _leaves(value: Any, path: str, depth: int) -> Iterator[tuple[str, Any]]:
    if depth > MAX_DEPTH or _is_span(value):
        return
    if isinstance(value, list):
        for item in value:
            if not was_taken_back(item):
                yield from _leaves(item, f"{path}[]", depth + 1)
    elif isinstance(value, dict):
        for key, item in value.items():
            if not is_path(str(key)):  # a path could not name it
                yield from _leaves(item, f"{path}.{key}", depth + 1)
    elif value is not None:
        yield path, value


def _is_span(value: Any) -> bool:
    """Return whether the value says of a part of a text what it is, such as a name: that is no label of the text."""
    return isinstance(value, dict) and any(type(value.get(start)) is type(value.get(end)) is int for start, end in _ENDS)
