"""Perplexity and token accuracy: what needs no generated reply. By hand."""

import math

import pytest
from recipekit.runner.evaluation.metrics import Prediction, perplexity, token_accuracy


def case(nll=0.0, trained=1, correct=0):
    return Prediction("1", "", "", True, 0, nll, trained, correct)


def over(measure, *cases):
    numerators, denominators = zip(*map(measure.parts, cases), strict=True)
    return measure.value(sum(numerators), sum(denominators))


def test_a_model_that_is_always_right_has_perplexity_one():
    assert over(perplexity, case(nll=0, trained=7)) == 1


def test_a_model_that_guesses_among_n_has_perplexity_n():
    assert over(perplexity, case(nll=5 * math.log(50), trained=5)) == pytest.approx(50)


def test_every_token_counts_the_same_be_its_row_long_or_short():
    rows = case(nll=1 * math.log(2), trained=1), case(nll=3 * math.log(32), trained=3)
    assert over(perplexity, *rows) == pytest.approx(2 ** ((1 + 15) / 4))


def test_a_perplexity_too_big_for_a_float_is_infinite():
    assert over(perplexity, case(nll=1e5, trained=1)) == math.inf


def test_token_accuracy_is_the_share_of_trained_tokens_in_percent():
    assert over(token_accuracy, case(trained=4, correct=4), case(trained=12, correct=0)) == 25
