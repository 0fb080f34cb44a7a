"""The page in a real browser: on a phone, in the dark, with hostile data."""

import xml.etree.ElementTree as ET

from recipekit.runner.inspection.page import HEIGHT, bars, headline, histogram

from ...support.browser import requests
from ...support.records import EVIL, LONG, chat, inspected, labelled

HUGE = "W" * 3000


def rows():
    found = [chat(n, ["low", EVIL][n % 2], score=n, note=EVIL, **{HUGE[:200]: HUGE}) for n in range(40)]
    return [*found, chat(1, "high"), chat(50, question=LONG + " " + HUGE), chat(51, question=LONG + " " + HUGE + "!"), "{broken}"]


def test_a_phone_need_not_scroll_sideways_and_nothing_runs_or_is_fetched(browser, tmp_path):
    page = inspected(tmp_path, rows())[0] / "index.html"
    requests(browser)
    browser.get(page.as_uri())
    assert requests(browser) == [page.as_uri()]
    assert browser.execute_script("return document.querySelectorAll('script, img, iframe, link, base').length") == 0
    assert browser.execute_script("return document.documentElement.clientWidth") == 390
    assert browser.execute_script("return document.documentElement.scrollWidth") <= 390
    assert browser.execute_script("return document.querySelectorAll('svg rect').length") > 5
    assert [entry for entry in browser.get_log("browser") if entry["level"] == "SEVERE"] == []


def test_the_file_is_readable_by_everyone(serious, tmp_path):
    assert serious(inspected(tmp_path, rows())[0] / "index.html") == []
    labels = [labelled(n, f"label {n % 40}") for n in range(80)]
    assert serious(inspected(tmp_path / "labels", labels, near=None)[0] / "index.html") == []


def test_the_headline_says_what_is_wrong_or_that_nothing_is():
    facts = {"valid": 8, "rows": 10, "type": "chat", "bad": {"invalid_json": 2}, "lengths": {"tokens": {"row": {"sum": 1234.0}}}}
    broken = facts | {"repeats": {"equal": {"rows": 3}, "same_input_other_output": {"rows": 0}}}
    assert headline(broken) == "8 chat records of 1,234 tokens; 2 rows are invalid, 3 are duplicates."
    one = facts | {"repeats": {"same_input_other_output": {"rows": 1}, "nearly_equal": {"rows": 1}}}
    assert headline(one).endswith("2 rows are invalid, 1 repeats a question with a different answer, 1 is a near-duplicate.")
    sound = facts | {"valid": 10, "bad": {}, "repeats": {"equal": {"rows": 0}}}
    assert headline(sound) == "10 chat records of 1,234 tokens; no invalid rows, no duplicates."


def test_a_histogram_has_a_bar_for_each_bin_as_tall_as_its_count():
    svg = ET.fromstring(histogram("Tokens per row", [(0, 10, 4), (10, 20, 2), (20, 25, 0)], "tokens"))
    heights = [float(rect.attrib["height"]) for rect in svg.iter("rect")]
    assert heights[0] == 2 * heights[1] > 0 == heights[2]
    assert max(heights) < HEIGHT
    assert svg.attrib["aria-label"] == "Tokens per row: 6 from 0 to 25 tokens"
    assert [rect.findtext("title") for rect in svg.iter("rect")][0] == "0 to 10 tokens: 4 rows"


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
