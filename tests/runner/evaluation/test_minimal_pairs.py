"""Minimal pairs: intervals and paired tests of each file and of the mean over files."""

import math

import numpy as np
import pytest
from recipekit.runner.evaluation.minimal_pairs import MEAN, mean_difference, mean_over_files, minimal_pair_scores
from recipekit.runner.reporting.verdicts import pairs_line

RANDOM = np.random.default_rng(5)


def right(pairs: int, share: float) -> list[bool]:
    return (RANDOM.random(pairs) < share).tolist()


def test_each_file_has_the_same_weight_in_the_mean():
    found = minimal_pair_scores({"a": [True] * 30, "b": [True, False] * 5}, {"a": [True] * 30, "b": [False] * 10}, 0.95)
    assert found["pairs"] == {"a": 30, "b": 10} and found["mean"]["rows"] == 40
    assert [found["mean"]["models"][model][MEAN]["value"] for model in ("base", "tuned")] == [75, 50]
    assert found["mean"]["differences"][MEAN]["value"] == -25
    assert found["files"]["models"]["base"]["b"] == {"value": 50, "low": pytest.approx(18.7086), "high": pytest.approx(81.2914)}


def test_pairs_of_both_models_are_compared_pair_by_pair():
    """Models that are right in the same pairs but for a few differ clearly, although their intervals overlap."""
    base = {name: right(500, 0.7) for name in "abcd"}
    tuned = {name: [is_right or n % 20 == 0 for n, is_right in enumerate(of_file)] for name, of_file in base.items()}
    found = minimal_pair_scores(base, tuned, 0.95)["mean"]
    numbers, change = [found["models"][model][MEAN] for model in ("base", "tuned")], found["differences"][MEAN]
    assert numbers[0]["high"] > numbers[1]["low"]
    assert change["significant"] and 0 < change["low"] < change["value"] < change["high"]


def test_of_equal_models_one_in_twenty_differs_and_intervals_hold_the_truth():
    shares, simulations = np.linspace(0.5, 0.95, 12), 400
    covered = different = 0
    for _ in range(simulations):
        base, tuned = ([100.0 * (RANDOM.random(15) < share) for share in shares] for _ in range(2))
        estimate = mean_over_files(base, 0.95)
        covered += estimate.low <= 100 * shares.mean() <= estimate.high
        different += mean_difference(base, tuned, 0.95).significant
    assert 0.92 <= covered / simulations <= 0.98
    assert 0.02 <= different / simulations <= 0.08


def test_too_few_pairs_and_pairs_all_alike_have_no_interval():
    few = minimal_pair_scores({"a": [True, False], "b": [True, True]}, {"a": [True, True], "b": [True, False]}, 0.95)["mean"]
    alike = minimal_pair_scores({"a": [True] * 40, "b": [True] * 40}, {"a": [True] * 40, "b": [True] * 40}, 0.95)["mean"]
    for found in (few, alike):
        assert found["models"]["base"][MEAN]["low"] is None and not found["differences"][MEAN]["significant"]
    assert math.isnan(mean_over_files([np.array([100.0] * 12), np.array([100.0])], 0.95).low), "a file with one pair has no variance"


def test_an_interval_stays_within_0_and_100_percent():
    found = minimal_pair_scores({"a": [True] * 11 + [False]}, {"a": [False] * 11 + [True]}, 0.95)["mean"]["models"]
    assert found["base"][MEAN]["high"] == 100 and found["tuned"][MEAN]["low"] == 0


def test_the_sentence_has_numbers_intervals_and_verdict():
    found = minimal_pair_scores({"a": [True, False] * 100}, {"a": [True] * 150 + [False] * 50}, 0.95)
    assert pairs_line({"source": "pairs", **found}) == (
        "200 minimal pairs of pairs in 1 file, right in % (mean of the files): base 50.00 [43.01, 56.99], tuned 75.00 [68.95, 81.05]; "
        "+25.00, better."
    )
