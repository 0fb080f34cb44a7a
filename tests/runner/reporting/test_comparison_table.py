"""A comparison on the terminal: more tables where it is narrow, and no number that is cut."""

import pytest
from recipekit.runner.reporting.comparison import print_comparison

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
