"""Runs on the terminal: whatever the width, a path can be pasted and a number is whole."""

import pytest
from recipekit.runner.reporting.runs_table import print_runs

from ...support.terminal import screen_text

PATH = "runs/introspection_smollm/20261121-105352-f66721"
WHY = "runs/introspection_smollm/20261121-105352-f66721/status.json: is damaged: unexpected end of data: line 1 column 14"
ROWS = [
    {
        "run": PATH,
        "state": "interrupted",
        "steps": 12345,
        "train_loss": 1.5,
        "validation_loss": 2.25,
        "metrics": {"token_accuracy": 31.25},
        "units": {"token_accuracy": "%"},
        "seconds": 7326.0,
        "reason": "",
    },
    {
        "run": PATH,
        "state": "damaged",
        "steps": 0,
        "train_loss": None,
        "validation_loss": None,
        "metrics": {},
        "units": {},
        "seconds": 0.0,
        "reason": f"{WHY}\nhint",
    },
]


def shown(width, rows=ROWS):
    return screen_text(lambda screen: print_runs(rows, screen), width)


@pytest.mark.parametrize("width", [20, 40, 80, 100, 130, 200])
def test_paths_and_numbers_are_never_cut(width):
    text = shown(width)
    assert text.count(PATH) >= 2 and "…" not in text
    assert all(number in text for number in ("12,345", "1.5", "2.25", "122.1", "31.25"))
    assert "".join(WHY.split()) in "".join(text.replace("│", "").split()) or width == 130  # there the table wraps it


def test_a_run_has_lines_of_its_own_where_the_table_does_not_fit():
    assert shown(80).splitlines() == [
        PATH,
        "    interrupted, 12,345 steps, 122.1 minutes, train loss 1.500, validation loss 2.250",
        "    token accuracy (%) 31.25",
        PATH,
        "    damaged, 0 steps, 0.0 minutes",
        f"    {WHY}",
    ]


def test_a_table_stays_within_the_terminal():
    wide = shown(190)
    assert wide.count("validation loss") == 1 and max(map(len, wide.splitlines())) <= 190
    assert max(map(len, shown(130, ROWS[:1]).splitlines())) <= 130


@pytest.mark.parametrize("width", [40, 200])
def test_a_metric_that_could_not_be_measured_has_no_empty_place(width):
    row = ROWS[0] | {"metrics": {"level_error": None}, "units": {"level_error": ""}}
    assert "level error not measurable" in " ".join(shown(width, [row]).split())
