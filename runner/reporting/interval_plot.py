"""A metric's numbers as dots with their intervals, one line a column, so that a reader sees what differs before reading any number."""

import math
from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

WIDTH, LINE, EDGE = 150, 13, 6  # units; a dot at the lowest or highest number is not cut


def interval_plot(columns: Iterable[tuple[str, Mapping[str, Any] | None]]) -> str:
    """Return an <svg> with a line for each (class, estimate) that has a number, all on one scale; "" if fewer than two have one.

    The numbers themselves are in the same row of the table, so that a screen reader skips the drawing. A line has the class of the number's
    column, which gives it that column's colour.
    """
    numbers = [(name, found) for name, found in columns if found and found["value"] is not None]
    ends = [number for _, found in numbers for number in found.values() if isinstance(number, int | float) and math.isfinite(number)]
    low, high = min(ends, default=0), max(ends, default=0)
    if len(numbers) < 2 or not math.isfinite(high - low):
        return ""
    unit = (WIDTH - 2 * EDGE) / (high - low or 1)
    lines = []
    for index, (name, found) in enumerate(numbers):
        y = LINE * (index + 0.5)
        parts = [f'<circle cx="{EDGE + (found["value"] - low) * unit:.1f}" cy="{y}" r="4"/>']
        if found["low"] is not None or found["high"] is not None:
            start, stop = (EDGE + ((value if value is not None else end) - low) * unit
                           for value, end in ((found["low"], low), (found["high"], high)))  # fmt: skip
            parts.append(f'<path d="M{start:.1f} {y}H{stop:.1f}"/>')
        lines.append(f'<g class="{escape(name, quote=True)}">{"".join(parts)}</g>')
    return f'<svg class="plot" viewBox="0 0 {WIDTH} {LINE * len(numbers)}" aria-hidden="true">{"".join(lines)}</svg>'
