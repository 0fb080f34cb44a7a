"""Findings of rules."""

from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from .base.errors import Problem
from .sections import Recipe
from .values import is_written
from .yaml_source import Document, KeyPath

NO_EFFECT = "no-effect"


class Finding(NamedTuple):
    """A problem that a rule found with a key."""

    path: KeyPath
    what: str
    hint: str
    rule: str = "rule"

    def problem(self, document: Document) -> Problem:
        key, location, hint = ".".join(map(str, self.path)), document.location(self.path), self.hint
        if self.rule == NO_EFFECT and document.has_settings and not location.is_setting:
            hint += f"; for this command alone: --set {key}=null"
        return Problem(location, f"{key}: {self.what}", hint, self.rule)

    def applies(self, values: dict[str, Any]) -> bool:
        """Return whether the finding is about this recipe: a key has no effect only where it is written, with any value."""
        return self.rule != NO_EFFECT or is_written(values, self.path)


Rule = Callable[[Recipe], Iterator[Finding]]


def no_effect(path: KeyPath, why: str, hint: str = "remove it") -> Finding:
    """Return the finding that nothing reads a key. A rule gives it whether or not the key is written, and does not look at its value."""
    return Finding(path, f"has no effect{why}", hint, NO_EFFECT)
