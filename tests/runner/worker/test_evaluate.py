"""What the evaluation asks a model for, and compares its reply with."""

import pytest

pytest.importorskip("torch")
from recipekit.runner.evaluation.scoring import without_reasoning
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


@pytest.mark.parametrize(
    ("reply", "left"),
    [("<think>\nhm\n</think>\n\njoy", "joy"), (" <think></think>joy", "joy"), ("joy", "joy"), ("<think>joy", "<think>joy"),
     ("joy <think>a</think>", "joy <think>a</think>")],
)  # fmt: skip
def test_where_reasoning_is_dropped_the_reference_has_none(reply, left):
    """As the template that drops it writes the reply."""
    jinja2 = pytest.importorskip("jinja2")
    from recipekit.runner.models.chat_templates import DROP_REASONING

    template = jinja2.Environment(extensions=["jinja2.ext.do"]).from_string(DROP_REASONING + "{{ messages[0].content }}")
    assert without_reasoning(reply) == left == template.render(messages=[{"role": "assistant", "content": reply}])
