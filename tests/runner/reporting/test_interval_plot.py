"""The drawing of a metric's intervals: every number has its place, in the order of the numbers."""

import re
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from recipekit.runner.reporting.interval_plot import WIDTH, interval_plot

COLUMNS = ["base", "tuned", "reference"]


def estimate(value: float | None, low: float | None = None, high: float | None = None) -> dict[str, Any]:
    return {"value": value, "low": low, "high": high}


def dots(svg: str) -> dict[str, float]:
    return {name: float(x) for name, x in re.findall(r'<g class="(\w+)"><circle cx="([\d.]+)"', svg)}


def test_lower_numbers_are_further_left_and_equal_ones_one_above_the_other() -> None:
    svg = interval_plot(zip(COLUMNS, [estimate(0.5, 0.4, 0.6), estimate(0.7, 0.5, 0.9), estimate(0.5)], strict=True))
    places = dots(svg)
    assert list(places) == COLUMNS
    assert places["base"] == places["reference"] < places["tuned"]
    assert svg.count("<path") == 2  # the reference has no interval


def test_an_interval_reaches_from_its_low_to_its_high_end() -> None:
    svg = interval_plot([("base", estimate(1, 0, 2)), ("tuned", estimate(3, 2, 4))])
    (left, middle), (again, right) = re.findall(r'd="M([\d.]+) [\d.]+H([\d.]+)"', svg)
    assert middle == again
    assert float(middle) - float(left) == float(right) - float(again) > 0


def test_a_single_number_is_not_drawn() -> None:
    assert interval_plot([("base", estimate(0.5)), ("tuned", estimate(None))]) == ""
    assert interval_plot([("base", None), ("tuned", estimate(0.5))]) == ""


numbers = st.floats(allow_nan=False, allow_infinity=False)


@given(st.lists(st.tuples(numbers, numbers, numbers).map(sorted), min_size=2, max_size=3))
def test_every_number_has_a_place_within_the_drawing(intervals: list[list[float]]) -> None:
    values = {name: value for name, (_, value, _) in zip(COLUMNS, intervals, strict=False)}
    svg = interval_plot((name, estimate(value, low, high)) for name, (low, value, high) in zip(COLUMNS, intervals, strict=False))
    assert all(0 <= float(x) <= WIDTH for x in re.findall(r"(?:cx=\"|M|H)([\d.e+-]+)", svg))
    places = dots(svg)
    assert [places[name] for name in sorted(places, key=lambda name: values[name])] == sorted(places.values())
