"""The tables of a sweep: nothing is cut off, whatever the width."""

import io

import pytest
from recipekit.runner.reporting.sweep_tables import sweep_tables
from rich.console import Console

METRICS = {name: 0.1234 for name in ("macro_f1", "accuracy", "perplexity", "stop_rate", "repetition", "reply_tokens", "token_reduction")}
ROWS = [
    {"values": {"training.lora_r": 8, "training.learning_rate": 0.0002}, "state": "done", "steps": 12, "loss": 1.25, "best_eval_loss": 2.5,
     "seconds": 90, "metrics": METRICS},
    {"values": {"training.lora_r": 16, "training.learning_rate": 0.0002}, "state": "failed"},
]  # fmt: skip


def printed(width: int) -> str:
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(*sweep_tables(ROWS, width))
    return console.export_text()


@pytest.mark.parametrize(("width", "tables"), [(200, 1), (80, 3), (50, 6)])
def test_columns_that_do_not_fit_go_on_in_a_further_table_beside_the_values(width, tables):
    assert len(sweep_tables(ROWS, width)) == tables
    shown = printed(width)
    assert "…" not in shown and max(map(len, shown.splitlines())) <= width
    words = {word for name in METRICS for word in name.split("_")} | {
        "state",
        "steps",
        "minutes",
        "loss",
        "best",
        "0.0002",
        "failed",
        "1.5",
    }
    assert [word for word in words if word not in shown] == []
    assert shown.count("lora_r") == tables


def test_a_run_that_has_no_number_has_an_empty_cell():
    (table,) = sweep_tables(ROWS[1:], 200)
    assert [list(column.cells) for column in table.columns][2:] == [["failed"], [""], [""], [""], [""]]
