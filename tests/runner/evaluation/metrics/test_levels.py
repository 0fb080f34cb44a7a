"""Accuracy, macro-F1, invalid rate, level error and rank correlation of generated labels: by hand, against scipy, and on real data."""

import json
from collections import Counter
from fractions import Fraction

import pytest

pytest.importorskip("numpy", reason="needs the extra [train]: numpy")
from recipekit.runner.evaluation.metrics import LabelPrediction, metric
from recipekit.schemas.base.errors import UserError


def row(predicted, truth=0, fraction=None):
    return LabelPrediction("1", truth, predicted, 3, fraction=fraction)


def over(name, *rows):
    measure = metric(name)
    return measure.aggregate(*map(float, map(sum, zip(*map(measure.row_stats, rows), strict=True))))


def test_invalid_replies_are_a_share_of_all_rows():
    assert over("invalid_rate", row(-1), row(0), row(2), row(-1)) == 50


def test_an_invalid_reply_is_wrong_and_stays_in_the_denominator():
    assert over("accuracy", row(0), row(-1)) == 0.5
    assert over("macro_f1", row(0), row(-1)) == pytest.approx(2 / 3)  # precision 1, recall 1/2, of the one label that occurs


@pytest.mark.parametrize(
    ("rows", "error"),
    [
        ([row(0, fraction=1 / 6)], 0),
        ([row(0, fraction=0.0)], 1 / 6),
        ([row(2, fraction=0.0)], 5 / 6),
        ([row(0, fraction=0.0), row(0, fraction=1 / 3)], 0),
        ([row(1, fraction=0.5), row(2, fraction=0.0)], (0 + 5 / 6) / 2),
        ([row(1, fraction=0.5), row(-1, fraction=0.9), row(2)], 0),
    ],
    ids=["exact", "below", "sure and wrong", "right on the whole", "two levels", "invalid, and without a fraction"],
)
def test_level_error_by_hand(rows, error):
    assert over("level_error", *rows) == pytest.approx(error, abs=1e-12)


def test_rank_correlation_is_scipys_spearman():
    stats = pytest.importorskip("scipy.stats", reason="needs the extra [eval]: scikit-learn")
    levels, fractions = [0, 0, 1, 2, 2, 1, 0, 2, 1], [0.1, 0.3, 0.2, 0.9, 1.0, 0.5, 0.2, 0.4, 0.5]
    rows = [row(level, fraction=fraction) for level, fraction in zip(levels, fractions, strict=True)]
    assert over("rank_correlation", *rows) == pytest.approx(stats.spearmanr(levels, fractions).statistic)


def test_rank_correlation_of_perfect_and_of_reversed_order():
    assert over("rank_correlation", *(row(n, fraction=n / 2) for n in range(3))) == pytest.approx(1)
    assert over("rank_correlation", *(row(2 - n, fraction=n / 2) for n in range(3))) == pytest.approx(-1)


def test_rank_correlation_of_one_constant_answer_is_not_a_number():
    value = over("rank_correlation", *(row(0, fraction=n / 10) for n in range(5)))
    assert value != value


def test_rank_correlation_leaves_invalid_replies_out():
    rows = [row(n, fraction=n / 2) for n in range(3)]
    assert over("rank_correlation", *rows, row(-1, fraction=0.0)) == pytest.approx(1)


def test_the_majority_label_is_right_for_two_thirds_of_the_real_rows(realdata):
    """541 of 830, macro-F1 26.3 %: what a model of introspection must beat."""
    rows = json.loads((realdata / "introspection" / "dataset_inspection" / "introspection_dataset.json").read_text(encoding="utf-8"))
    labels = ["low", "medium", "high"]
    counts = Counter(entry["confidence"] for entry in rows)
    assert [counts[label] for label in labels] == [541, 120, 169]
    given = [row(0, labels.index(entry["confidence"]), float(Fraction(str(entry["percentage"])) / 100)) for entry in rows]
    assert over("accuracy", *given) == pytest.approx(0.652, abs=0.0005)
    assert over("macro_f1", *given) == pytest.approx(0.263, abs=0.0005)
    truth = [entry._replace(predicted=entry.truth) for entry in given]
    assert over("level_error", *truth) < 0.1 and over("rank_correlation", *truth) > 0.8


@pytest.mark.parametrize("fraction", ["0.4", 40, -0.1, float("nan"), [0.4]], ids=str)
@pytest.mark.parametrize("name", ["level_error", "rank_correlation"])
def test_what_is_no_share_is_refused_with_its_row(name, fraction):
    with pytest.raises(UserError, match=r"row '1': meta.fraction: .* is not a number from 0 to 1"):
        metric(name).row_stats(row(0, fraction=fraction))
