"""What a recipe will take, before anything is there."""

import pytest
from recipekit.runner.resources.estimate_fit import GPU, estimate_fit, size_of
from recipekit.runner.runtime.machine import Machine
from recipekit.schemas.sections import Recipe

CPU = Machine(memory=64 << 30, cores=8)


@pytest.fixture
def of(minimal):
    return lambda changes: Recipe.from_values(minimal(changes))


def test_the_embedded_model_is_known_before_it_is_unpacked(of, monkeypatch, tmp_path):
    monkeypatch.setenv("RECIPEKIT_CACHE", str(tmp_path))
    size = size_of(of({"model.base_model": "embedded:smollm2-135m-instruct"}))
    assert size and size.parameters == 134_515_008


def test_another_recipes_run_has_the_size_of_that_recipes_model(of):
    size = size_of(of({"model.base_model": "run:babylm_gpt2"}))
    assert size and size.parameters == 124_439_808
    assert size_of(of({"model.base_model": "run:nowhere"})) is None


def test_an_unknown_model_has_no_estimate(of, tmp_path):
    assert estimate_fit(of({}), GPU, tmp_path) is None


def test_a_classifier_whose_labels_are_unknown_has_no_head_of_a_language_model(of, tmp_path):
    classifier = {"data.type": "classification", "evaluation.metrics": ["accuracy"], "model.base_model": "embedded:smollm2-135m-instruct"}
    unknown, six = (estimate_fit(of(classifier), CPU, tmp_path, labels) for labels in (0, 6))
    assert unknown and six and "logits" not in unknown.memory.parts
    assert 0 < six.memory_needed - unknown.memory_needed < 100_000, "six labels take four rows more"
