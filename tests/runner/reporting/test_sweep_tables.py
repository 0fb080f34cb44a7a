"""The tables of a sweep: nothing is cut off, whatever the width."""

import pytest
from recipekit.runner.reporting.runs_table import print_sweep
from recipekit.runner.reporting.verdicts import metric_name

from ...support.terminal import screen_text

METRICS = {name: 0.1234 for name in ("macro_f1", "accuracy", "perplexity", "stop_rate", "repetition", "reply_tokens", "token_reduction")}
ROWS = [
    {"values": {"training.lora_r": 8, "training.learning_rate": 0.0002}, "state": "done", "steps": 12, "train_loss": 1.25,
     "validation_loss": 2.5, "seconds": 90, "metrics": METRICS, "units": dict.fromkeys(METRICS, "")},
    {"values": {"training.lora_r": 16, "training.learning_rate": 0.0002}, "state": "failed"},
]  # fmt: skip


def printed(width: int, rows=ROWS) -> str:
    return screen_text(lambda screen: print_sweep(rows, screen), width)


@pytest.mark.parametrize("width", [200, 80, 50])
def test_columns_that_do_not_fit_continue_in_another_table(width):
    shown = printed(width)
    assert "…" not in shown and max(map(len, shown.splitlines())) <= width
    words = {word for name in METRICS for word in metric_name(name).split()} | {
        "state",
        "steps",
        "minutes",
        "train",
        "validation",
        "loss",
        "0.0002",
        "1.5",
    }
    assert [word for word in words if word not in shown] == []
    assert (shown.count("lora_r") > 1) is (width < 200)


def test_a_run_that_has_no_number_has_an_empty_cell():
    assert printed(200, ROWS[1:]).splitlines()[3].split() == ["16", "0.0002", "failed"]
