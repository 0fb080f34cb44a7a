"""Hints for misspelt names."""

from collections.abc import Iterable


def did_you_mean(name: str, known: Iterable[str], otherwise: str = "", cutoff: float = 0.6) -> str:
    """Return "did you mean ...?" with the most similar of the known names; `otherwise` if none is at least `cutoff` (0 to 1) similar."""
    from difflib import get_close_matches  # most names are right

    near = get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"did you mean {near[0]!r}?" if near else otherwise
