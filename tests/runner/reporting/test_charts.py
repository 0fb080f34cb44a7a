"""Line charts: well-formed SVG that holds every finite point and nothing that runs."""

import math
import re
import xml.etree.ElementTree as ET
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from recipekit.runner.reporting.charts import (
    BOTTOM,
    HEIGHT,
    LEFT,
    PLOT_WIDTH,
    TOP,
    WIDTH,
    Series,
    interval_plot,
    line_chart,
    tick_text,
    ticks,
)

NUMBERS = st.floats(allow_nan=False, allow_infinity=False, min_value=-1e30, max_value=1e30)


def parsed(svg: str) -> ET.Element:
    return ET.fromstring(svg)  # our own


def points(svg: str, index: int = 0) -> list[tuple[float, float]]:
    line = parsed(svg).find(f"polyline[@class='line{index}']")
    assert line is not None
    return [tuple(map(float, pair.split(","))) for pair in line.attrib["points"].split()]


def test_points_are_placed_from_corner_to_corner():
    assert points(line_chart("Loss", [Series("training", [(0, 1), (10, 3), (5, 2)])], "step")) == [
        (LEFT, HEIGHT - BOTTOM), (WIDTH - 12, TOP), ((LEFT + WIDTH - 12) / 2, (HEIGHT - BOTTOM + TOP) / 2),
    ]  # fmt: skip


def test_all_lines_share_the_axes():
    svg = line_chart("Loss", [Series("a", [(0, 0), (10, 10)]), Series("b", [(5, 5)])], "step")
    (point,) = points(svg, 1)
    assert point == ((LEFT + WIDTH - 12) / 2, (HEIGHT - BOTTOM + TOP) / 2)


def test_the_curve_has_a_text_alternative():
    svg = parsed(line_chart("Loss", [Series("training", [(1, 3.25), (2, 1.5)])], "step"))
    assert svg.attrib["role"] == "img"
    assert svg.attrib["aria-label"] == "Loss: training from 3.25 to 1.5"


@pytest.mark.parametrize("empty", [[], [Series("a", [])], [Series("a", [(1, math.nan), (2, math.inf)])]])
def test_an_empty_chart_is_not_drawn(empty):
    assert line_chart("Loss", empty, "step") == ""


def test_points_that_are_not_finite_are_left_out():
    svg = line_chart("Loss", [Series("a", [(1, 1), (2, math.nan), (3, -math.inf), (4, 2)])], "step")
    assert len(points(svg)) == 2 and "nan" not in svg and "inf" not in svg


@pytest.mark.parametrize("value", [0, 1, -3.5, 1e-300, 1e17, -1e30])
def test_a_single_point_and_a_flat_line_are_drawn(value):
    for count in (1, 5):
        svg = line_chart("Loss", [Series("a", [(n, value) for n in range(count)])], "step")
        assert len(points(svg)) == count


def test_dots_are_drawn_only_where_they_can_be_distinguished():
    few, many = ([(n, n) for n in range(count)] for count in (39, 40))
    assert len(parsed(line_chart("L", [Series("a", few)], "step")).findall("circle")) == 39
    assert len(parsed(line_chart("L", [Series("a", many)], "step")).findall("circle")) == 0


@pytest.mark.parametrize("text", ["<script>alert(1)</script>", '" onload="alert(1)', "</svg><script>", "a & b", "'"])
def test_hostile_text_is_text(text):
    svg = parsed(line_chart(text, [Series(text, [(1, 1), (2, 2)])], text))
    assert {element.tag for element in svg.iter()} <= {"svg", "line", "text", "polyline", "circle"}
    assert not any(name.startswith("on") for element in svg.iter() for name in element.attrib)
    assert text in [element.text for element in svg.iter("text")]


@given(st.lists(st.tuples(st.floats(0, 1e6), NUMBERS), min_size=1, max_size=20))
@example([(0.0, 0.0), (0.0, 5e-324)])
def test_any_finite_points_stay_inside_the_picture(drawn):
    svg = line_chart("Loss", [Series("a", drawn)], "step")
    placed = points(svg)
    assert len(placed) == len(drawn)
    assert all(LEFT - 0.1 <= x <= WIDTH - 11.9 and TOP - 0.1 <= y <= HEIGHT - BOTTOM + 0.1 for x, y in placed)


@pytest.mark.parametrize(
    ("low", "high", "expected"),
    [
        (0, 10, [0, 2, 4, 6, 8, 10]),
        (0, 1, [0, 0.2, 0.4, 0.6, 0.8, 1.0]),
        (1, 54, [20, 40]),
        (-1, 1, [-1, -0.5, 0, 0.5, 1]),
        (3.1, 3.9, [3.2, 3.4, 3.6, 3.8]),
    ],
)
def test_ticks_are_round_numbers_inside_the_range(low, high, expected):
    assert ticks(low, high) == pytest.approx(expected)


@given(NUMBERS, st.floats(1e-9, 1e9))
def test_ticks_are_few_and_inside_any_range(low, share):
    high = low + max(abs(low), 1) * share
    found = ticks(low, high)
    slack = (high - low) * 1e-6
    assert 1 <= len(found) <= 11
    assert all(low - slack <= location <= high + slack for location in found)


@given(st.floats(allow_nan=False, allow_infinity=False, min_value=-1e30, max_value=1e30))
@example(0.00015)
@example(99999.9)
def test_a_tick_is_short_and_reads_as_its_value(value):
    text = tick_text(value)
    assert len(text) <= 9 and float(text) == pytest.approx(value, rel=0.06, abs=1e-320)


def test_there_is_no_step_between_two_steps():
    svg = line_chart("Loss", [Series("a", [(1, 1), (2, 2)])], "step")
    assert ">1<" in svg and not re.search(r">1\.\d<", svg.partition('text-anchor="middle"')[2])


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
    assert all(0 <= float(x) <= PLOT_WIDTH for x in re.findall(r"(?:cx=\"|M|H)([\d.e+-]+)", svg))
    places = dots(svg)
    assert [places[name] for name in sorted(places, key=lambda name: values[name])] == sorted(places.values())
