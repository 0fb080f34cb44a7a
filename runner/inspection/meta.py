"""The fields of `meta`: how many rows have each, of what type, and which values."""

from collections import Counter
from math import isfinite
from typing import Any

import orjson

from .distributions import Distribution, Tally

FIELDS = 200
LISTED = 20
_TYPES = {str: "text", bool: "true or false", int: "number", float: "number", list: "list", dict: "object", type(None): "null"}


class Field:
    """One field: rows that have it, the types of its values, its numbers, its names."""

    def __init__(self) -> None:
        self.rows = 0
        self.types: Counter[str] = Counter()
        self.numbers = Distribution()
        self.names = Tally(1000)

    def add(self, value: Any) -> None:
        """Count a value. Lists and objects are counted as their JSON."""
        self.rows += 1
        kind = _TYPES[type(value)]
        self.types[kind] += 1
        if kind == "number" and isfinite(value):
            self.numbers.add(value)
        elif kind != "null":
            self.names.add(value if isinstance(value, str) else orjson.dumps(value).decode())

    def as_json(self) -> dict[str, Any]:
        found: dict[str, Any] = {"rows": self.rows, "types": dict(self.types.most_common())}
        if self.numbers.total:
            found["numbers"] = self.numbers.as_json()
        return found | ({"commonest": self.names.as_json(LISTED)} if self.names.total else {})


class Meta:
    """The fields of all rows, but `origin`, which is counted by file and by converter."""

    def __init__(self) -> None:
        self.fields: dict[str, Field] = {}
        self.beyond = 0
        self.sources = Tally()
        self.converters = Tally()

    def add(self, meta: dict[str, Any]) -> None:
        """Count a row's meta."""
        for name, value in meta.items():
            if name == "origin" and isinstance(value, dict):
                self.sources.add(str(value.get("file", "not said")))
                self.converters.add(str(value.get("converter", "not said")))
            elif name in self.fields or len(self.fields) < FIELDS:
                self.fields.setdefault(name, Field()).add(value)
            else:
                self.beyond += 1

    def as_json(self) -> dict[str, Any]:
        """Sources (files), converters, and the other fields."""
        fields = {name: field.as_json() for name, field in sorted(self.fields.items())}
        beyond = {"values_of_further_fields": self.beyond} if self.beyond else {}
        return {"sources": self.sources.as_json(1000), "converters": self.converters.as_json(), "meta": fields, **beyond}
