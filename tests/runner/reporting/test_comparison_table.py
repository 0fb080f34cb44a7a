"""A comparison on the terminal: more tables where it is narrow, and no number that is cut."""

import pytest
from recipekit.runner.reporting.comparison import answer, print_comparison, write_page

from ...support.terminal import screen_text


def estimate(value):
    return {"value": value, "low": value - 1, "high": value + 1}


CHANGES = [{"value": -1.25, "significant": True}, {"value": 0.125, "significant": False}]
FOUND = {
    "runs": ["small/20261121-105352-f66721", "small/20261121-105353-f66721", "small/20261121-105354-f66721"],
    "states": ["done", "done", "failed"],
    "differences": {
        "recipe": {"training.gradient_accumulation_steps": [8, 16, 32], "description": ["one [b]of[/b] them", "another", None]}, "data": {},
    },
    "metrics": {"token_accuracy": {"unit": "%", "higher_is_better": True, "values": [estimate(1234.5678), estimate(99.25), estimate(9.5)], "changes": CHANGES}},
    "rows": 30, "confidence": 0.95, "notes": [],
}  # fmt: skip


def shown(width):
    return screen_text(lambda screen: print_comparison(FOUND, screen), width)


@pytest.mark.parametrize("width", [40, 80, 120, 200])
def test_no_number_and_no_value_is_cut(width):
    text = shown(width)
    assert "…" not in text
    words = (
        "1234.57",
        "[1233.57, 1235.57]",
        "99.25",
        "[98.25, 100.25]",
        "[8.50, 10.50]",
        "-1.25, worse",
        "+0.125",
        "no",
        "significant",
        "difference",
    )
    assert all(word in text for word in words), text
    assert all(word in text for word in ("training.gradient_accumulation_steps", "one [b]of[/b] them", "data: the same", *FOUND["runs"]))


def test_narrow_tables_follow_each_other_with_the_metrics_names():
    lines = shown(40).splitlines()
    assert sum("metric" in line for line in lines) > 1
    assert max(len(line) for line in lines if not line.startswith(("A  ", "B  ", "C  ", "  ", "training."))) <= 40
    assert sum("metric" in line for line in shown(200).splitlines()) == 1


def test_a_number_without_an_interval_is_explained(tmp_path):
    assert "without an interval" not in shown(120)
    bare = {"value": 4.0, "low": None, "high": None}
    accuracy = FOUND["metrics"]["token_accuracy"] | {"values": [bare, bare, bare]}
    found = FOUND | {"rows": 8, "metrics": {"token_accuracy": accuracy}}
    note = "Numbers without an interval (token accuracy): 10 rows are needed."
    assert note in screen_text(lambda screen: print_comparison(found, screen), 120)
    assert note in write_page(found, tmp_path / "comparison.html").read_text(encoding="utf-8")


def of_runs(*changes):
    """A comparison of a first run with others, each of which has a change of accuracy that is significant or not."""
    values = [estimate(50.0)] * (len(changes) + 1)
    metric = {"unit": "%", "higher_is_better": True, "values": values, "changes": [*changes]}
    names = [f"r{number}/20261121-105352-f6672{number}" for number in range(len(values))]
    return FOUND | {"runs": names, "states": ["done"] * len(names), "differences": {}, "metrics": {"token_accuracy": metric}}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ([CHANGES[1]], "no significant difference between B and A."),
        ([CHANGES[1]] * 4, "no significant difference between A and any of B, C, D, E."),
        ([CHANGES[0], CHANGES[1]], "no significant difference between C and A. B is worse on token accuracy than A."),
    ],
    ids=["one", "all alike", "one differs"],
)
def test_the_runs_that_do_not_differ_are_named_together(changes, words):
    assert answer(of_runs(*changes)) == f"On 30 rows: {words}"


def test_a_page_of_many_runs_has_a_column_for_each(tmp_path):
    """Five runs then fit a screen of 1,280 pixels: their drawing is not hidden at its right."""
    page = write_page(of_runs(*[CHANGES[1]] * 4), tmp_path / "page.html").read_text(encoding="utf-8")
    head = page.partition("<thead>")[2].partition("</thead>")[0]
    assert head.count("<th ") == 1 + 5 and page.count('class="verdict') == 4
