"""Bars are well-formed, as long as their counts say, and hold no markup from data."""

import xml.etree.ElementTree as ET

from recipekit.runner.reporting.bars import HEIGHT, bars, histogram


def test_a_histogram_has_a_bar_for_each_bin_as_tall_as_its_count():
    svg = ET.fromstring(histogram("Tokens per row", [(0, 10, 4), (10, 20, 2), (20, 25, 0)], "tokens"))
    heights = [float(rect.attrib["height"]) for rect in svg.iter("rect")]
    assert heights[0] == 2 * heights[1] > 0 == heights[2]
    assert max(heights) < HEIGHT
    assert svg.attrib["aria-label"] == "Tokens per row: 6 from 0 to 25 tokens"
    assert [rect.find("title").text for rect in svg.iter("rect")][0] == "0 to 10 tokens: 4 rows"


def test_values_beyond_the_limit_have_their_own_bar():
    svg = histogram("Tokens", [(0, 10, 4), (10, 20, 2), (20, 999, 1)], "tokens")
    assert svg.count('class="beyond"') == 1
    assert "20 and more, to 999 tokens" in svg


def test_there_is_no_histogram_of_one_value():
    assert histogram("Tokens", [(3, 3, 9)], "tokens") == ""
    assert histogram("Tokens", [], "tokens") == ""


def test_names_are_escaped_and_those_beyond_the_limit_added_up():
    table = ET.fromstring(bars([("<b>&", 6), ("x", 3), ("y", 2), ("z", 1)], most=2))
    rows = [["".join(cell.itertext()) for cell in row] for row in table.iter("tr")]
    assert rows == [["<b>&", "", "6", "50.0%"], ["x", "", "3", "25.0%"], ["2 others", "", "3", "25.0%"]]
    assert bars([]) == ""
