"""The best and the worst rows: which they are, and what is shown of them."""

import pytest

pytest.importorskip("numpy", reason="needs the extra [train]: numpy")
from recipekit.runner.evaluation.metrics import Prediction
from recipekit.runner.reporting.report_rows import LINES, LONGEST, SHOWN, cut, extremes, gains, ranking_metric, shown_rows


def case(row_id, nll=10.0, reply="", trained=10):
    return Prediction(row_id, "Yes.", reply, True, 1, nll, trained, 4)


def test_a_gain_is_in_the_direction_that_is_better():
    cases = {"base": [case("a", 20.0), case("b", 10.0)], "tuned": [case("a", 10.0), case("b", 20.0)]}
    (best, first), (worst, second) = gains("perplexity", cases)
    assert (first, second) == ("a", "b") and best == -worst > 0
    stopped = {"base": [case("a")._replace(stopped=False)], "tuned": [case("a")]}
    assert gains("stop_rate", stopped) == [(100.0, "a")]


def test_a_row_that_cannot_be_measured_is_not_ranked():
    assert gains("perplexity", {"base": [case("a", trained=0)], "tuned": [case("a", trained=0)]}) == []


@pytest.mark.parametrize("rows", [0, 1, 2, 7, 15, 20, 21, 100])
def test_best_and_worst_rows_do_not_overlap(rows):
    ranked = [(float(-n), str(n)) for n in range(rows)]
    best, worst = extremes(ranked)
    assert len(best) == min(SHOWN, (rows + 1) // 2) and len(worst) == min(SHOWN, rows // 2)
    assert not set(best) & set(worst)
    assert worst == sorted(worst) and best == sorted(best, reverse=True)


def test_rows_are_ranked_by_the_first_metric_that_can_be_better_on_one_row():
    facts = {"emoji_rate": {"higher_is_better": None}, "accuracy": {"higher_is_better": True}, "stop_rate": {"higher_is_better": True}}
    assert ranking_metric({"metrics": facts}) == "stop_rate"
    assert ranking_metric({"metrics": {"emoji_rate": {"higher_is_better": None}}}) is None


def test_a_chat_shows_its_last_question_and_both_replies():
    messages = [{"role": "user", "content": "first"}, {"role": "assistant", "content": "a"},
                {"role": "user", "content": "last"}, {"role": "assistant", "content": "b"}]  # fmt: skip
    lines = {model: {"reply": model, "reference": "b", "stopped": True} for model in ("base", "tuned")}
    (shown,) = shown_rows([(1.0, "1")], {"1": {"id": "1", "messages": messages}}, {"1": lines})
    assert (shown["prompt"], shown["reference"]) == ("last", "b")
    assert [reply["reply"] for reply in shown["replies"]] == ["base", "tuned"]


def test_a_text_is_its_own_preview():
    (shown,) = shown_rows([(1.0, "1")], {"1": {"id": "1", "text": "once upon"}}, {"1": {}})
    assert shown == {"id": "1", "gain": 1.0, "prompt": "once upon"}


def test_a_long_text_is_cut_and_says_so():
    assert cut("x" * LONGEST) == "x" * LONGEST
    assert cut("x" * (LONGEST + 1200)).endswith("x … (1,200 more characters)")
    assert cut("a\n" * 20) == "\n".join("a" * LINES) + f" … ({40 - 2 * LINES + 1} more characters)"
