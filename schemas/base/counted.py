"""Counts with their nouns."""

import re
from collections.abc import Mapping

_SINGULAR = {"are": "is", "have": "has", "were": "was", "do": "does"}
_SIBILANT = re.compile(r"(s|x|ch|sh)$")
_CONSONANT_Y = re.compile(r"(?<![aeiou])y$")


def counted(number: int, noun: str, verb: str = "") -> str:
    """Return the number with the noun, given in the singular, and the verb, given in the plural: "1 row", "2,000 replies", "1 row is"."""
    if number != 1:
        return f"{number:,} {_plural(noun)}" + (f" {verb}" if verb else "")
    return f"{number} {noun}" + (f" {_singular(verb)}" if verb else "")


def counted_of(number: int, all_of_them: int, noun: str, verb: str = "") -> str:
    """Return how many of them all: "1 of 20 rows is", "2 of 2,000 rows are", "1 of 1 row is"."""
    of = f"{number:,} of {counted(all_of_them, noun)}"
    return f"{of} {_singular(verb) if number == 1 else verb}" if verb else of


def listed(counts: Mapping[str, int]) -> str:
    """Return each count with its name: "2,000 duplicate, 1 empty text"; "none" if there are none."""
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items()) or "none"


def _plural(noun: str) -> str:
    return _SIBILANT.sub(r"\1es", _CONSONANT_Y.sub("ie", noun)) + "s" * (not _SIBILANT.search(noun))


def _singular(verb: str) -> str:
    return _SINGULAR.get(verb, f"{verb}s")
