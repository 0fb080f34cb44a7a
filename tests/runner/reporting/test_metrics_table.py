"""Base and tuned model on the terminal, in words that claim no more than was measured."""

import pytest
from recipekit.runner.reporting.comparison import answer as compared
from recipekit.runner.reporting.metrics_table import metrics_table
from recipekit.runner.reporting.verdicts import answer, number, verdict

from ...support.terminal import screen_text


def estimate(value: float | None, low: float | None = 0.0, high: float | None = 0.0) -> dict[str, float | None]:
    return {"value": value, "low": low, "high": high}


@pytest.mark.parametrize(
    ("given", "shown"),
    [
        (None, ""),
        (estimate(None, None, None), "not measurable"),
        (estimate(12.345, 11, 13.999), "12.35 [11.00, 14.00]"),
        (estimate(0, 0, 0), "0.000 [0.000, 0.000]"),
        (estimate(-3.5, -4, None), "-3.50 [-4.00, ?]"),
    ],
)
def test_a_number_is_shown_with_its_interval(given, shown):
    assert number(given) == shown


@pytest.mark.parametrize(
    ("value", "significant", "better", "words"),
    [
        (None, False, False, ""),
        (1.0, False, False, "+1.000, no significant difference"),
        (1.0, True, False, "+1.000, worse"),
        (-1.0, True, False, "-1.000, better"),
        (1.0, True, True, "+1.000, better"),
        (-1.0, True, True, "-1.000, worse"),
        (1.0, True, None, "+1.000, changed"),
        (1.0, False, None, "+1.000, no significant difference"),
        (0.0, False, True, "+0.000, no significant difference"),
    ],
)
def test_better_requires_significance(value, significant, better, words):
    assert verdict({"value": value, "significant": significant}, better) == words


METRICS = {
    "rows": 12, "split": "validation", "baseline": "base", "confidence": 0.9, "gates": {},
    "metrics": {"perplexity": {"unit": "", "higher_is_better": False}, "token_reduction": {"unit": "%", "higher_is_better": True}},
    "models": {
        "base": {"perplexity": estimate(9, 8, 10), "token_reduction": estimate(None, None, None)},
        "tuned": {"perplexity": estimate(4, 3, 5), "token_reduction": estimate(30, 20, 40)},
        "reference": {"token_reduction": estimate(32, 31, 33)},
    },
    "differences": {
        "perplexity": estimate(-5, -6, -4) | {"significant": True},
        "token_reduction": estimate(None, None, None) | {"significant": False},
    },
}  # fmt: skip


def test_a_change_that_is_neither_better_nor_worse_is_still_a_difference():
    found = {
        **METRICS,
        "metrics": {"perplexity": METRICS["metrics"]["perplexity"], "reply_tokens": {"unit": "", "higher_is_better": None}},
        "models": {model: {"perplexity": estimate(9), "reply_tokens": estimate(9)} for model in ("base", "tuned")},
        "differences": {"perplexity": estimate(0) | {"significant": False}, "reply_tokens": estimate(5) | {"significant": True}},
    }
    changed = "is not significantly better or worse than"
    assert answer(found) == f"On 12 validation rows the tuned model {changed} the base model; changed: reply tokens."
    facts = {name: {**metric, "changes": [found["differences"][name]]} for name, metric in found["metrics"].items()}
    assert compared({"runs": ["a", "b"], "rows": 12, "metrics": facts}) == f"On 12 rows: B {changed} A; changed: reply tokens."
    facts["perplexity"]["changes"] = [estimate(-5) | {"significant": True}]
    assert (
        compared({"runs": ["a", "b"], "rows": 12, "metrics": facts})
        == "On 12 rows: B is better on perplexity than A; changed: reply tokens."
    )


def printed(metrics, width=140):
    return screen_text(lambda screen: metrics_table(metrics, screen), width)


def test_a_further_set_has_its_name_above_its_table():
    assert "answers: 7 rows, 90% intervals" in printed({**METRICS, "also": {"answers": {**METRICS, "rows": 7}}})


def test_the_table_has_a_row_a_metric_and_says_on_how_many_rows():
    text = printed(METRICS)
    assert "12 validation rows, 90% intervals" in text
    row = next(line for line in text.splitlines() if "perplexity" in line)
    assert ["9.00 [8.00, 10.00]" in row, "4.00 [3.00, 5.00]" in row, "-5.00, better" in row] == [True] * 3
    row = next(line for line in text.splitlines() if "token reduction (%)" in line)
    assert "not measurable" in row and "32.00 [31.00, 33.00]" in row


def test_intervals_are_not_taken_for_markup():
    assert "[8.00, 10.00]" in printed(METRICS)


def test_the_datas_own_replies_have_no_column_where_none_was_measured():
    assert "the data's own" in printed(METRICS)
    assert "the data's own" not in printed(METRICS | {"models": METRICS["models"] | {"reference": {}}})


def test_it_is_readable_on_a_narrow_terminal():
    assert max(map(len, printed(METRICS, width=60).splitlines())) <= 60


def test_a_number_without_an_interval_is_explained():
    few = {
        **METRICS,
        "rows": 8,
        "models": {**METRICS["models"], "tuned": {"perplexity": estimate(4, None, None), "token_reduction": estimate(30)}},
    }
    assert "Numbers without an interval (perplexity): 10 rows are needed." in printed(few)
    assert "Numbers without an interval (perplexity): the rows are too few, or too much alike." in printed({**few, "rows": 12})
    assert "without an interval" not in printed(METRICS)
    of_base = METRICS["models"] | {"base": METRICS["models"]["base"] | {"perplexity": estimate(9, None, None)}}
    assert "Numbers without an interval (perplexity): the rows" in printed({**METRICS, "models": of_base}), "that of the baseline, too"


def test_quantised_measurements_have_a_footnote():
    text = printed({**METRICS, "as_trained": {"bits": 4, "scores": {"perplexity": 3.5}}})
    assert "in full precision, as it is merged and served; in 4 bits, as trained, the tuned model has perplexity 3.50" in text
    assert "has perplexity 3.50 on all validation rows." in " ".join(text.split())
    assert "bits" not in printed(METRICS)
    assert "in 4 bits, as trained: in 16 bits it did not fit" in printed({**METRICS, "evaluated_with": {"bits": 4}})
    assert "bits" not in printed({**METRICS, "evaluated_with": {"bits": 0}})
