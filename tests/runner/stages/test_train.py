"""The train stage's key changes with whatever goes into the weights, and with nothing else. The training itself: test_run.py."""

import pytest
from recipekit.runner.launch.axolotl_config import RenderedData
from recipekit.runner.launch.plan import plan
from recipekit.runner.runtime.machine import Machine
from recipekit.runner.stages import train as stage
from recipekit.runner.stages.train import train_key
from recipekit.schemas.sections import Recipe

GPU = Machine("cuda", 1, "a GPU", 24 << 30, True)


@pytest.fixture
def planned(minimal):
    def build(changes=None, machine=GPU):
        recipe = Recipe.from_values(minimal(changes))
        return plan(recipe, RenderedData(), machine, recipe.model.base_model)

    return build


def test_the_train_key_changes_with_configuration_data_model_launch_and_machine(planned):
    keys = [
        train_key(planned(), "data", "model@1"),
        train_key(planned({"training.seed": 1}), "data", "model@1"),
        train_key(planned({"training.learning_rate": 0.0001000001}), "data", "model@1"),
        train_key(planned({"launch": {"engine": "torchrun", "num_processes": 2}}), "data", "model@1"),
        train_key(planned(machine=Machine()), "data", "model@1"),
        train_key(planned(), "other data", "model@1"),
        train_key(planned(), "data", "model@2"),
    ]
    assert len(set(keys)) == len(keys)
    assert train_key(planned(), "data", "model@1") == keys[0]


def test_the_train_key_changes_with_the_packages_that_train(planned, monkeypatch):
    before = train_key(planned(), "data", "model")
    monkeypatch.setattr(stage, "package_versions", lambda: {"torch": "0.1"})
    assert train_key(planned(), "data", "model") != before


def test_what_is_only_evaluated_or_described_does_not_train_again(planned):
    same = planned({"description": "other words", "evaluation.metrics": ["token_accuracy"]})
    assert train_key(same, "data", "model") == train_key(planned(), "data", "model")
