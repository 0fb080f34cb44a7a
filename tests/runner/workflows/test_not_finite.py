"""A loss that is not a number ends the training: transformers would log the mean of earlier losses, or 0, in its place."""

import pytest
from recipekit.runner.runtime.progress import read_lines
from recipekit.runner.workflows.resume_check import prepare
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.recipe import load_recipe

from ...support.tiny import write_recipe

pytestmark = pytest.mark.train


def test_a_loss_that_is_not_a_number_ends_the_training_and_no_checkpoint_has_it(tmp_path, tiny_model):
    import shutil

    from safetensors.numpy import load_file, save_file

    broken = tmp_path / "broken"
    shutil.copytree(tiny_model, broken)
    weights = load_file(broken / "model.safetensors")
    weights["model.norm.weight"][0] = float("nan")
    save_file(weights, broken / "model.safetensors", metadata={"format": "pt"})
    loaded = load_recipe(str(write_recipe(tmp_path, broken)), ("training.save_steps=1", "training.eval_steps=1"))
    trial = prepare(loaded, tmp_path, tmp_path / "run", lambda event: None)
    with pytest.raises(UserError, match="the loss is nan at step 1: lower learning_rate"):
        trial.train()
    assert [line["loss"] for line in read_lines(trial.folder / "metrics.jsonl") if "loss" in line] == ["nan"]
    assert not [*(trial.folder / "checkpoints").glob("checkpoint-*")]
