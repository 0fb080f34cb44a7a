"""Agreement between raters: Krippendorff's alpha, for any number of raters and with missing ratings (Krippendorff 2011).

1 is perfect agreement, 0 chance agreement, below 0 systematic disagreement; from 0.8 it counts as reliable, and 0.667 is the minimum.
"""

import random
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any, Literal

Level = Literal["nominal", "ordinal", "interval"]
RESAMPLES = 1000


def alpha(units: Sequence[Sequence[Any]], level: Level = "nominal") -> float | None:
    """Return alpha for the units, each with its ratings; None if fewer than two ratings can be compared.

    If all ratings are equal, chance agreement is perfect and alpha is undefined: None as well.
    """
    paired = [unit for unit in units if len(unit) > 1]
    totals = Counter(value for unit in paired for value in unit)
    count, distance = totals.total(), _distance(level, totals)
    if not paired or len(totals) < 2:
        return None
    observed = sum(
        sum(distance(a, b) for a in unit for b in unit) / (len(unit) - 1)  # a rating differs from itself by 0
        for unit in paired
    )
    expected = sum(n * m * distance(a, b) for a, n in totals.items() for b, m in totals.items())
    return 1 - (count - 1) * observed / expected


def alpha_interval(units: Sequence[Sequence[Any]], level: Level = "nominal", confidence: float = 0.95) -> tuple[float, float] | None:
    """Return the bootstrap interval over units; None for fewer than ten, or if resamples without disagreement leave it undefined."""
    if len(units) < 10:
        return None
    draw = random.Random(0)
    found = sorted(a for _ in range(RESAMPLES) if (a := alpha(draw.choices(units, k=len(units)), level)) is not None)
    if len(found) < RESAMPLES / 2:
        return None
    cut = (1 - confidence) / 2
    return found[int(cut * len(found))], found[min(int((1 - cut) * len(found)), len(found) - 1)]


def _distance(level: Level, totals: Counter[Hashable]) -> Callable[[Any, Any], float]:
    if level == "nominal":
        return lambda a, b: float(a != b)
    if level == "interval":
        return lambda a, b: float(a - b) ** 2
    ranked = sorted(totals)  # pyright: ignore[reportArgumentType]
    place = {value: index for index, value in enumerate(ranked)}
    before = [sum(totals[value] for value in ranked[:index]) for index in range(len(ranked) + 1)]

    def ordinal(a: Any, b: Any) -> float:
        low, high = sorted((place[a], place[b]))
        return (before[high + 1] - before[low] - (totals[ranked[low]] + totals[ranked[high]]) / 2) ** 2

    return ordinal
