"""Counts with their nouns."""

from collections.abc import Mapping

_SINGULAR = {"are": "is", "have": "has"}


def counted(number: int, noun: str, verb: str = "") -> str:
    """Return the number with the noun and, if given in the plural, the verb: "1 row", "2,000 rows", "1 row is", "2 rows contain"."""
    if number != 1:
        return f"{number:,} {noun}s" + (f" {verb}" if verb else "")
    return f"{number} {noun}" + (f" {_SINGULAR.get(verb, verb + 's')}" if verb else "")


def listed(counts: Mapping[str, int]) -> str:
    """Return each count with its name: "2,000 duplicate, 1 empty text"; "none" if there are none."""
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items()) or "none"
