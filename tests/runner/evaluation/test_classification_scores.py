"""Scores of a classification against scikit-learn, by hand, and against what the MBTI project published."""

import random

import numpy as np
import pytest
from recipekit.runner.evaluation.classification import calibration_error, confusion, macro_f1, per_class, training_scores
from recipekit.runner.evaluation.intervals import bootstrap, draw_resamples, point
from recipekit.runner.evaluation.metrics import LabelPrediction, metric

sklearn_metrics = pytest.importorskip("sklearn.metrics", reason="needs the extra [eval]")
LABELS = ["a", "b", "c", "d"]


def cases(truth: list[int], predicted: list[int], labels: int = 4) -> list[LabelPrediction]:
    return [LabelPrediction(str(i), t, p, labels) for i, (t, p) in enumerate(zip(truth, predicted, strict=True))]


def drawn(seed: int, rows: int = 60, labels: int = 4) -> tuple[list[int], list[int]]:
    """Truth and predictions that are right two times in three; with few rows some labels are absent."""
    source = random.Random(seed)
    truth = [source.randrange(labels) for _ in range(rows)]
    return truth, [t if source.random() < 0.67 else source.randrange(labels) for t in truth]


@pytest.mark.parametrize("rows", [1, 2, 5, 60])
@pytest.mark.parametrize("seed", range(5))
def test_the_metrics_are_scikit_learns(seed, rows):
    truth, predicted = drawn(seed, rows)
    expected = sklearn_metrics.f1_score(truth, predicted, average="macro", zero_division=0)
    assert point(metric("macro_f1"), cases(truth, predicted)) == pytest.approx(expected)
    assert macro_f1(per_class(truth, predicted, LABELS)) == pytest.approx(expected)
    assert point(metric("accuracy"), cases(truth, predicted)) == pytest.approx(sklearn_metrics.accuracy_score(truth, predicted))


def test_a_resample_of_macro_f1_is_the_macro_f1_of_the_rows_drawn():
    truth, predicted = drawn(1, 30)
    draws = draw_resamples(30, seed=3, count=40)
    expected = []
    for counts in draws:
        rows = np.repeat(np.arange(30), counts)
        expected.append(sklearn_metrics.f1_score(np.take(truth, rows), np.take(predicted, rows), average="macro", zero_division=0))
    found = bootstrap(metric("macro_f1"), cases(truth, predicted), draws, 1 - 1e-15)
    assert (found.low, found.high) == pytest.approx(tuple((min(expected), max(expected))))


def test_the_published_figures_of_the_mbti_replication_come_out(realdata):
    folder = realdata / "mbti" / "results"
    truth, predicted = (
        (folder / name).read_text().split()[1:] for name in ("test_labels.csv", "previous_paper_test_prediction.csv")
    )  # fmt: skip
    labels = sorted(set(truth))
    rows = cases([labels.index(t) for t in truth], [labels.index(p) for p in predicted], len(labels))
    assert (len(rows), len(labels)) == (868, 16)
    assert round(point(metric("accuracy"), rows), 3) == 0.294
    assert round(point(metric("macro_f1"), rows), 3) == 0.087
    table = per_class([row.truth for row in rows], [row.predicted for row in rows], labels)
    assert [round(np.mean([row[name] for row in table]), 3) for name in ("precision", "recall")] == [0.141, 0.120]
    by_dimension = [np.mean([t[n] == p[n] for t, p in zip(truth, predicted, strict=True)]) for n in range(4)]
    assert round(np.mean(by_dimension), 3) == 0.731


def test_a_label_without_rows_and_predictions_is_not_part_of_macro_f1():
    table = per_class([0, 0, 1], [0, 1, 1], LABELS)
    assert [row["rows"] for row in table] == [2, 1, 0, 0]
    assert macro_f1(table) == pytest.approx((2 / 3 + 2 / 3) / 2)


def test_a_label_that_was_given_wrongly_counts_as_zero():
    assert macro_f1(per_class([0, 0], [0, 3], LABELS)) == pytest.approx((2 / 3 + 0) / 2)


def test_the_confusion_matrix_has_truth_down_and_predictions_across():
    assert confusion([0, 0, 2], [0, 3, 2], LABELS) == [[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0], [0, 0, 0, 0]]


def test_scores_while_training_come_from_logits_and_name_the_labels():
    logits = np.array([[5.0, 1, 0, 0], [0, 2, 1, 0], [3, 0, 1, 0]])
    scores = training_scores((logits, "hidden states"), np.array([0, 1, 2]), LABELS)
    assert scores == {"accuracy": pytest.approx(2 / 3), "macro_f1": pytest.approx(5 / 9), "f1_a": pytest.approx(2 / 3),
                      "f1_b": 1.0, "f1_c": 0.0}  # fmt: skip


@pytest.mark.parametrize(
    ("truth", "probabilities", "error"),
    [
        ([0, 1], [(1.0, 0.0), (0.0, 1.0)], 0.0),
        ([1, 0], [(1.0, 0.0), (0.0, 1.0)], 1.0),
        ([0, 1], [(0.75, 0.25), (0.75, 0.25)], 0.25),  # sure of 3 in 4, right in 2
        ([0, 1, 1, 1], [(0.9, 0.1), (0.2, 0.8), (0.15, 0.85), (0.65, 0.35)], (1 * 0.1 + 2 * 0.175 + 1 * 0.65) / 4),
    ],
    ids=["sure and right", "sure and wrong", "one bin", "three bins"],
)
def test_calibration_error_by_hand(truth, probabilities, error):
    assert calibration_error(truth, probabilities) == pytest.approx(error)
