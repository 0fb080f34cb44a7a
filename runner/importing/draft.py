"""Draft a recipe, and track the status of each key of the configuration."""

import re
from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

from ...schemas.base.errors import Problem
from ...schemas.base.redact import redact
from ...schemas.json_schema import key_paths, schema, subschema
from ...schemas.sections import Recipe
from ...schemas.validation import check_document
from ...schemas.values import is_written, replaced_at, value_at, without
from ...schemas.yaml_source import Document, KeyPath
from ...schemas.yaml_writing import one_line, path_of

Status = Literal["kept", "renamed", "default", "passed through", "not expressible", "no value"]
STATUSES: tuple[Status, ...] = ("kept", "renamed", "default", "passed through", "not expressible", "no value")
_DECIDING = {"optimizer": "optimizer", "optim": "optimizer", "lr_scheduler": "schedule", "lr_scheduler_type": "schedule"}
_NUMBER = re.compile(r"[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?")
_REQUIRED = ("model.base_model", "training.adapter", "training.learning_rate")


class Entry(NamedTuple):
    """A key of the configuration, its status, the recipe's keys that replace it, and the reason."""

    key: str
    status: Status
    to: tuple[str, ...] = ()
    why: str = ""

    def without_secrets(self) -> "Entry":
        """Return the entry to show: a key or a value in a wrong place may be a secret."""
        return self._replace(key=redact(self.key), why=redact(self.why))


class Draft:
    """The recipe's values and the report. One of `put`, `note`, `lose` ... is called once per key."""

    def __init__(self, source: Document, name: str) -> None:
        self.source = source
        self.given: dict[str, Any] = source.data
        self.values: dict[str, Any] = {"recipe": 1, "name": name, "model": {}, "data": {}, "training": {}}
        self.entries: dict[str, Entry] = {}
        self.problems: list[Problem] = []

    def read_quoted_numbers(self, homes: Mapping[str, str]) -> None:
        """Take `learning_rate: "2e-4"` for the number, as the tools do, where the recipe's key, of `homes`, is one."""
        for key, value in self.given.items():
            if isinstance(value, str) and _NUMBER.fullmatch(value) and (home := homes.get(key)):
                number = int(value) if value.lstrip("+-").isdecimal() else float(value)
                if _refusal(home, value) and not _refusal(home, number):
                    self.given = {**self.given, key: number}

    def put(self, key: str, homes: dict[str, Any], why: str = "", status: Status | None = None) -> None:
        """Set keys of the recipe; a value that its schema refuses is reported."""
        if refused := [f"{home}: {what}" for home, value in homes.items() if (what := _refusal(home, value))]:
            default = subschema(schema("recipe"), path_of(next(iter(homes)))).get("default")
            instead = f"; the default {one_line(default)} is used" if default is not None else ""
            return self.lose(key, f"{refused[0]}{instead}")
        for home, value in homes.items():
            if (was := value_at(self.values, path_of(home))) is not None and was != value:
                return self.lose(key, f"{home} is already {one_line(was)}: a recipe has one value for all sources")
        for home, value in homes.items():
            self.values = replaced_at(self.values, path_of(home), value)
        kept = len(homes) == 1 and next(iter(homes)).rpartition(".")[2] == key
        self.entries[key] = Entry(key, status or ("kept" if kept else "renamed"), tuple(homes), why)

    def note(self, key: str, home: str, why: str) -> None:
        """Record that another key of the recipe, or its default, means the same."""
        self.entries[key] = Entry(key, "renamed", (home,), why)

    def pass_on(self, key: str, value: Any, name: str = "") -> None:
        """Pass the key to Axolotl, by the name that it has there."""
        self.values.setdefault("axolotl", {})[name or key] = value
        self.entries[key] = Entry(key, "passed through", (f"axolotl.{name or key}",))

    def lose(self, key: str, why: str) -> None:
        """Record that the recipe cannot express the key."""
        self.entries[key] = Entry(key, "not expressible", (), why)

    def refuse(self, key: str, why: str) -> None:
        """Record that the recipe cannot express the key, and that it would train something else without it."""
        self.lose(key, why)
        name, _, part = key.partition(": ")  # one of the values of a list
        what = f"{name}: {part or one_line(self.given[name])}: {why}"
        self.problems.append(Problem(self.source.location((name,)), what, rule="another-training"))

    def refuse_lost(self) -> None:
        """Refuse the configuration if its optimizer or its schedule was not expressible."""
        for key, what in _DECIDING.items():
            if (entry := self.entries.get(key)) and entry.status == "not expressible":
                self.refuse(key, f"another {what} would train a different model ({entry.why})")

    def ignore(self, key: str) -> None:
        """Record that the key has no value."""
        self.entries[key] = Entry(key, "no value")

    def keep(self, key: str, why: str) -> None:
        """Record that every recipe trains with this value."""
        self.values.get("axolotl", {}).pop(key, None)
        self.entries[key] = Entry(key, "kept", (), why)

    def unset(self, home: str, why: str) -> bool:
        """Remove a key from the recipe, with everything set by the same key of the configuration; return False if no key set it."""
        keys = [entry.key for entry in self.entries.values() if home in entry.to and entry.status in ("kept", "renamed", "default")]
        if home in _REQUIRED or not keys:
            return False
        for key in keys:
            for gone in self.entries[key].to:
                if is_written(self.values, path_of(gone)):
                    self.values = without(self.values, path_of(gone))
            self.lose(key, why)
        return True

    def recipe(self) -> Recipe | None:
        """Return the recipe; None if its schema refuses it."""
        values = self.valid_values()
        return Recipe.from_values(values) if values else None

    def valid_values(self) -> dict[str, Any] | None:
        """Return the recipe's values; None if its schema refuses them."""
        document = Document(self.ordered(), {}, {})
        return None if check_document(document) else document.data

    def ordered(self) -> dict[str, Any]:
        """Return the values in the order of the schema, without empty sections."""
        order = {path: number for number, path in enumerate(key_paths())}

        def sort(values: dict[str, Any], at: KeyPath) -> dict[str, Any]:
            keys = sorted(values, key=lambda key: order.get(".".join(map(str, (*at, key))), len(order)))
            found = {key: sort(values[key], (*at, key)) if isinstance(values[key], dict) else values[key] for key in keys}
            return {key: value for key, value in found.items() if value != {}}

        return sort(self.values, ())


def _refusal(home: str, value: Any) -> str:
    """Return why the recipe's schema refuses the value; "" if it does not."""
    from ...schemas.schema_errors import explain

    problems = explain(Document(value, {}, {}), subschema(schema("recipe"), path_of(home)))
    return f"{one_line(value)}: {problems[0].what}" + f" ({problems[0].hint})" * bool(problems[0].hint) if problems else ""
