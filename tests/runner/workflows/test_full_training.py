"""Training every weight, or some modules whole: in plain bf16 at a small rate a real run is stopped, since nothing would be learnt."""

import pytest
import yaml
from recipekit.runner.launch.plan import CONFIG
from recipekit.runner.workflows.resume_check import prepare
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.recipe import load_recipe

from ...support.tiny import write_recipe

pytestmark = [pytest.mark.train, pytest.mark.long]
RATE = 1e-6  # of emollm_internlm2_full
SETTINGS = ("training.adapter=none", "training.lora_r=null", "training.lora_alpha=null", "training.lora_dropout=null", "training.max_steps=4",
            "training.eval_steps=4", "training.save_steps=4", f"training.learning_rate={RATE}", "training.lr_scheduler=constant")  # fmt: skip


@pytest.fixture
def training(tmp_path, tiny_model):
    """A training whose file says what a GPU's says, on this CPU; gives it before it has begun."""

    def prepared(*settings, **keys):
        loaded = load_recipe(str(write_recipe(tmp_path, tiny_model)), settings or SETTINGS)
        trial = prepare(loaded, tmp_path, tmp_path / "run", lambda event: None)
        config = yaml.safe_load((trial.folder / CONFIG).read_text()) | {"bf16": True} | keys
        (trial.folder / CONFIG).write_text(yaml.safe_dump(config))
        return trial

    return prepared


def test_plain_bf16_is_stopped_after_the_first_steps(training):
    with pytest.raises(
        UserError, match=r"in 3 steps at the full learning rate, \d+\.\d % of the weights that have a gradient changed: .*bfloat16"
    ):
        training().train()


def test_fp32_weights_under_autocast_move(training, tiny_model):
    import torch
    from safetensors.torch import load_file

    trial = training(fp32_weights=True)
    trial.train()
    (saved,) = (trial.folder / "checkpoints" / "checkpoint-4").glob("*.safetensors")
    before, after = load_file(tiny_model / "model.safetensors"), load_file(saved)
    moved = sum(int((before[name].float() != after[name].float()).sum()) for name in before)
    assert {tensor.dtype for tensor in after.values()} == {torch.float32}
    assert moved > 0.5 * sum(tensor.numel() for tensor in before.values())


def beside_an_adapter(rate):
    return (
        *SETTINGS[4:7],
        f"training.learning_rate={rate}",
        "training.lr_scheduler=constant",
        "axolotl.lora_modules_to_save=[embed_tokens, lm_head]",
    )


def test_modules_that_are_trained_whole_beside_an_adapter_in_plain_bf16_are_stopped_too(training):
    """Their adapter is fp32 and moves, so that nothing else would tell."""
    with pytest.raises(UserError, match=r"\d+\.\d % of the weights of modules trained whole beside the adapter .*\(bfloat16\)"):
        training(*beside_an_adapter(1e-5)).train()


def test_modules_that_are_trained_whole_at_a_rate_that_bf16_represents_move(training, tiny_model):
    from safetensors.torch import load_file

    trial = training(*beside_an_adapter(1e-3))
    trial.train()
    (saved,) = (trial.folder / "checkpoints" / "checkpoint-4").glob("adapter_model.safetensors")
    head = next(tensor for name, tensor in load_file(saved).items() if "lm_head" in name)
    assert (head.float() != load_file(tiny_model / "model.safetensors")["model.embed_tokens.weight"].float()).float().mean() > 0.5
