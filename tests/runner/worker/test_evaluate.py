"""What the evaluation asks a model for, and compares its reply with."""

import pytest

pytest.importorskip("torch")
from recipekit.runner.worker.evaluate import last_trained

SAID = [("user", "a"), ("assistant", "b"), ("user", "c"), ("assistant", "d")]


@pytest.mark.parametrize(
    ("trains", "roles", "reference"),
    [
        ({}, ["assistant"], "d"),
        ({3: False}, ["assistant"], "b"),
        ({1: False, 3: True}, ["assistant"], "d"),
        ({}, ["user"], "c"),
        ({2: True, 3: False}, ["assistant"], "c"),
    ],
)
def test_the_reference_is_the_message_that_the_model_is_asked_for(trains, roles, reference):
    messages = [{"role": role, "content": text} | ({"train": trains[n]} if n in trains else {}) for n, (role, text) in enumerate(SAID)]
    assert last_trained(messages, roles) == reference
