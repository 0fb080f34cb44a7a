"""What a saved model says of generating with it."""

from types import SimpleNamespace

import pytest

transformers = pytest.importorskip("transformers", reason="needs the extra [train]")

from recipekit.runner.worker.saved_settings import restore, samples, stop_at


@pytest.mark.parametrize(
    ("before", "ends", "after"), [(0, {2}, [0, 2]), ([0, 3], {2}, [0, 2, 3]), (None, {2}, 2), (2, {2}, 2), (None, {None}, None)]
)
def test_what_a_model_stops_at_gains_the_end_of_turn(before, ends, after):
    model = SimpleNamespace(generation_config=SimpleNamespace(eos_token_id=before))
    stop_at(model, ends)
    assert model.generation_config.eos_token_id == after


def test_a_model_that_generates_nothing_has_no_such_settings():
    model = SimpleNamespace(config=SimpleNamespace())
    stop_at(model, {2})
    restore(model, samples(model))
    assert vars(model) == {"config": SimpleNamespace()}


@pytest.mark.parametrize(("given", "after"), [({}, None), ({"do_sample": True, "temperature": 0.7}, True), ({"temperature": 0.7}, True)])
def test_a_model_samples_as_its_base_does(given, after):
    model = SimpleNamespace(config=SimpleNamespace(use_cache=False), generation_config=transformers.GenerationConfig(**given))
    before = samples(model)
    model.generation_config.do_sample = True  # as Axolotl does
    restore(model, before)
    assert model.generation_config.do_sample == after and model.config.use_cache
