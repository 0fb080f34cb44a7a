"""More than five emoji in a reply is spam, counted as people see them."""

import pytest
from recipekit.runner.evaluation.metrics import Prediction, metric

pytest.importorskip("emoji", reason="needs the extra [data]: emoji")

spam_rate = metric("spam_rate")


def case(reply):
    return Prediction("1", "", reply, True, 1, 0.0, 0, 0)


@pytest.mark.parametrize(
    ("reply", "spam"),
    [("", 0), ("🌙" * 5, 0), ("🌙" * 6, 1), ("👨‍👩‍👧‍👦" * 5, 0), ("👍🏽🇩🇪❤️1️⃣✅🌙", 1), ("** 1 2 3 4 5 6 7", 0), ("™ © ® ™ © ® ™", 0)],
    ids=["nothing", "five", "six", "five families", "six of every kind", "signs and digits", "marks that are text"],
)
def test_five_are_allowed_and_six_are_not(reply, spam):
    assert spam_rate.row_stats(case(reply)) == (spam, 1)


def test_the_rate_is_in_percent():
    rows = [spam_rate.row_stats(case(reply)) for reply in ("🌙" * 9, "🌙", "", "no")]
    assert spam_rate.aggregate(*map(sum, zip(*rows, strict=True))) == 25


def test_a_third_of_the_real_rewrites_has_more_than_five(realdata):
    """154 of the 497 augmented replies, which is why the guide wants them filtered out."""
    import json

    lines = (realdata / "emogpt" / "augmentedv1.jsonl").read_text(encoding="utf-8").splitlines()
    rows = [row for row in map(json.loads, lines) if row["metadata"].get("augmented") is True]
    assert sum(spam_rate.row_stats(case(row["messages"][-1]["content"]))[0] for row in rows) == 154
