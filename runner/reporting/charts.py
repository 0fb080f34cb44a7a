"""Line charts and intervals as inline SVG: no script, no network, readable in light and dark mode and by screen readers."""

import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from html import escape
from typing import Any, NamedTuple

WIDTH, HEIGHT, LEFT, BOTTOM, TOP = 352, 226, 56, 28, 28  # on a phone, a unit is almost a pixel: labels keep their size
PLOT_WIDTH, PLOT_LINE, PLOT_EDGE = 150, 13, 6  # units; a dot at the lowest or highest number is not cut


LETTER = 8  # maximum average width of a letter, in units


class Series(NamedTuple):
    """A named line of (x, y) points."""

    name: str
    points: Sequence[tuple[float, float]]


def line_chart(title: str, series: Sequence[Series], x_label: str) -> str:
    """Return an <svg> with axes, ticks and a legend; "" if there is nothing to draw."""
    series = [Series(s.name, [(x, y) for x, y in s.points if math.isfinite(y)]) for s in series]
    series = [s for s in series if s.points]
    if not series:
        return ""
    xs = [x for s in series for x, _ in s.points]
    ys = [y for s in series for _, y in s.points]
    x_low, x_high = min(xs), max(xs) if max(xs) > min(xs) else min(xs) + 1
    around = 0 if max(ys) > min(ys) else max(abs(ys[0]) / 10, 0.5)
    y_low, y_high = min(ys) - around, max(ys) + around

    def place(x: float, y: float) -> tuple[float, float]:
        across = LEFT + (x - x_low) / (x_high - x_low) * (WIDTH - LEFT - 12)
        down = TOP + (y_high - y) / (y_high - y_low) * (HEIGHT - TOP - BOTTOM)
        return round(across, 1), round(down, 1)

    across = ticks(x_low, x_high)
    if all(float(x).is_integer() for x in xs):  # there is no step between two steps
        across = [x for x in across if float(x).is_integer()]
    parts = [_axes(place, across, ticks(y_low, y_high), x_label)]
    legend_end = WIDTH - 12
    for index, line in enumerate(series):
        points = " ".join(f"{x},{y}" for x, y in (place(*point) for point in line.points))
        parts.append(f'<polyline class="line{index}" points="{points}"/>')
        if len(line.points) < 40:
            parts += [f'<circle class="dot{index}" cx="{x}" cy="{y}" r="3"/>' for x, y in (place(*p) for p in line.points)]
        parts.append(f'<text class="legend{index}" x="{legend_end}" y="14" text-anchor="end">{escape(line.name)}</text>')
        legend_end -= LETTER * len(line.name) + 16
    spoken = "; ".join(f"{s.name} from {s.points[0][1]:.4g} to {s.points[-1][1]:.4g}" for s in series)
    label = escape(f"{title}: {spoken}", quote=True)
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{label}">{"".join(parts)}</svg>'


def ticks(low: float, high: float, wanted: int = 5) -> list[float]:
    """Return about `wanted` round numbers between the two."""
    raw = (high - low) / wanted
    if raw < sys.float_info.min:  # the range is practically empty, and dividing by it would overflow
        return [low]
    magnitude = 10 ** math.floor(math.log10(raw))
    step = next(factor * magnitude for factor in (1, 2, 5, 10) if factor * magnitude >= raw)
    first = math.ceil(low / step)
    return [index * step for index in range(first, math.floor(high / step + 1e-9) + 1)]


def tick_text(value: float) -> str:
    """Format a tick in at most nine characters: `0.05`, `1.5e-4`, `12000`."""
    if value and not 1e-2 <= abs(value) < 1e5:
        digits, _, exponent = f"{value:.1e}".partition("e")
        return f"{digits.removesuffix('.0')}e{int(exponent)}"
    return f"{value:.{5 if abs(value) >= 1 else 4}g}"


def _axes(place: Callable[[float, float], tuple[float, float]], across: list[float], down: list[float], x_label: str) -> str:
    parts = []
    for y in down:
        _, height = place(0, y)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{WIDTH - 12}" y1="{height}" y2="{height}"/>')
        parts.append(f'<text x="{LEFT - 8}" y="{height + 4}" text-anchor="end">{tick_text(y)}</text>')
    for x in across:
        width, _ = place(x, 0)
        if width > WIDTH - 12 - LETTER * len(x_label) - 12:  # the axis label is here
            continue
        parts.append(f'<text x="{width}" y="{HEIGHT - 10}" text-anchor="middle">{tick_text(x)}</text>')
    parts.append(f'<text x="{WIDTH - 12}" y="{HEIGHT - 10}" text-anchor="end">{escape(x_label)}</text>')
    return "".join(parts)


def interval_plot(columns: Iterable[tuple[str, Mapping[str, Any] | None]]) -> str:
    """Return an <svg> with a line for each (class, estimate) that has a number, all on one scale; "" if fewer than two have one: a reader
    sees what differs before reading any number.

    The numbers themselves are in the same row of the table, so that a screen reader skips the drawing. A line has the class of the number's
    column, which gives it that column's colour.
    """
    numbers = [(name, found) for name, found in columns if found and found["value"] is not None]
    ends = [number for _, found in numbers for number in found.values() if isinstance(number, int | float) and math.isfinite(number)]
    low, high = min(ends, default=0), max(ends, default=0)
    if len(numbers) < 2 or not math.isfinite(high - low):
        return ""
    unit = (PLOT_WIDTH - 2 * PLOT_EDGE) / (high - low or 1)
    lines = []
    for index, (name, found) in enumerate(numbers):
        y = PLOT_LINE * (index + 0.5)
        parts = [f'<circle cx="{PLOT_EDGE + (found["value"] - low) * unit:.1f}" cy="{y}" r="4"/>']
        if found["low"] is not None or found["high"] is not None:
            start, stop = (PLOT_EDGE + ((value if value is not None else end) - low) * unit
                           for value, end in ((found["low"], low), (found["high"], high)))  # fmt: skip
            parts.append(f'<path d="M{start:.1f} {y}H{stop:.1f}"/>')
        lines.append(f'<g class="{escape(name, quote=True)}">{"".join(parts)}</g>')
    return f'<svg class="plot" viewBox="0 0 {PLOT_WIDTH} {PLOT_LINE * len(numbers)}" aria-hidden="true">{"".join(lines)}</svg>'
