"""Findings of rules."""

from collections.abc import Callable, Iterator
from typing import NamedTuple

from .base.errors import Problem
from .sections import Recipe
from .yaml_source import Document, KeyPath


class Finding(NamedTuple):
    """A problem that a rule found with a key."""

    path: KeyPath
    what: str
    hint: str
    rule: str = "rule"

    def problem(self, document: Document) -> Problem:
        return Problem(document.location(self.path), f"{'.'.join(map(str, self.path))}: {self.what}", self.hint, self.rule)


Rule = Callable[[Recipe], Iterator[Finding]]
