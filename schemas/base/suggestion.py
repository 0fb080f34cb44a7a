"""Hints for misspelt names."""

from collections.abc import Iterable


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return the most similar of the known names; "" if none is at least `cutoff` (0 to 1) similar."""
    from difflib import get_close_matches  # most names are right

    near = get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return near[0] if near else ""


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "", cutoff: float = 0.6) -> str:
    """Return "did you mean ...?" with the nearest of the known names, or `otherwise`."""
    near = nearest(name, known, cutoff)
    return f"did you mean {near!r}?" if near else otherwise
