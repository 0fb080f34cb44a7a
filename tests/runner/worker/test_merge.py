"""The comparison that a merged model must pass. Merging itself, in a real run: test_run.py."""

import math

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from recipekit.runner.worker.merge import LARGEST, largest_difference

LOGITS = [torch.tensor([[1.0, -8.0]]), torch.tensor([[2.0, 4.0]])]


def test_the_same_answers_have_no_difference():
    assert largest_difference(LOGITS, LOGITS) == 0


def test_the_difference_is_reported_as_a_share_of_the_rows_largest_logit():
    assert largest_difference(LOGITS, [torch.tensor([[1.0, -8.4]]), torch.tensor([[2.0, 4.0]])]) == pytest.approx(0.05)
    assert largest_difference(LOGITS, [LOGITS[0], torch.tensor([[2.0, 5.0]])]) == pytest.approx(0.25)


def test_an_answer_that_is_not_a_number_never_passes():
    found = largest_difference(LOGITS, [LOGITS[0], torch.tensor([[math.nan, 4.0]])])
    assert not any(found <= largest for largest in LARGEST.values())
