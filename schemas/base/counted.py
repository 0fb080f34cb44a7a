"""Counts with their nouns."""

from collections.abc import Mapping


def counted(number: int, noun: str) -> str:
    """Return the number and the noun: "1 row", "2,000 rows"."""
    return f"{number:,} {noun}" + ("s" if number != 1 else "")


def listed(counts: Mapping[str, int]) -> str:
    """Return each count with its name: "2,000 duplicate, 1 empty text"; "none" if there are none."""
    return ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in counts.items()) or "none"
