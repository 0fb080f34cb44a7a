"""Perplexity and token accuracy: what needs no generated reply. By hand."""

import math

import pytest
from recipekit.runner.evaluation.metrics import Prediction, metric

perplexity, token_accuracy = metric("perplexity"), metric("token_accuracy")


def case(nll=0.0, target_tokens=1, correct=0):
    return Prediction("1", "", "", True, 0, nll, target_tokens, correct)


def over(measure, *cases):
    numerators, denominators = zip(*map(measure.row_stats, cases), strict=True)
    return measure.aggregate(sum(numerators), sum(denominators))


def test_a_model_that_is_always_right_has_perplexity_one():
    assert over(perplexity, case(nll=0, target_tokens=7)) == 1


def test_a_model_that_guesses_among_n_has_perplexity_n():
    assert over(perplexity, case(nll=5 * math.log(50), target_tokens=5)) == pytest.approx(50)


def test_every_token_has_the_same_weight():
    rows = case(nll=1 * math.log(2), target_tokens=1), case(nll=3 * math.log(32), target_tokens=3)
    assert over(perplexity, *rows) == pytest.approx(2 ** ((1 + 15) / 4))


def test_a_perplexity_too_big_for_a_float_is_infinite():
    assert over(perplexity, case(nll=1e5, target_tokens=1)) == math.inf


def test_token_accuracy_is_the_share_of_target_tokens_in_percent():
    assert over(token_accuracy, case(target_tokens=4, correct=4), case(target_tokens=12, correct=0)) == 25
