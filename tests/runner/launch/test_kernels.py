"""Which kernels a recipe uses on a GPU, for cards and packages that are only told of."""

import pytest
from recipekit.runner.launch.kernels import kernels
from recipekit.runner.runtime.machine import Machine
from recipekit.schemas.sections import Recipe

H100 = Machine("cuda", 1, "an H100", 80 << 30, True)
T4 = Machine("cuda", 1, "a T4", 16 << 30, False)
BNB = {"bitsandbytes": "0.50.2"}


@pytest.fixture
def used(minimal):
    def build(changes=None, machine=H100, installed=BNB, capability=9.0):
        return {kernel.part: kernel for kernel in kernels(Recipe.from_values(minimal(changes)), machine, installed, capability)}

    return build


def test_a_cpu_has_none_to_choose_from(used):
    assert used(machine=Machine()) == {}


def test_an_adapter_on_a_card_with_bf16(used):
    found = used({"training.adapter": "qlora"})
    assert found["numbers"].used == "bf16" and found["attention"].used == "sdpa"
    assert found["loss"].used.startswith("head and cross entropy fused")
    assert [kernel for kernel in found.values() if kernel.problem] == []


def test_a_card_without_bf16_says_why_it_computes_in_fp16(used):
    found = used({"training.adapter": "qlora"}, T4, capability=7.5)["numbers"]
    assert found.used == "fp16" and "compute capability 8.0, which a T4 lacks" in found.why


def test_full_training_keeps_fp32_weights(used):
    assert used({"training.adapter": "none"})["numbers"].used == "fp32 weights, bf16 under autocast"


@pytest.mark.parametrize(
    ("changes", "installed", "capability", "part", "why"),
    [
        ({"training.adapter": "qlora"}, {}, 9.0, "quantised weights", "bitsandbytes is not installed"),
        ({"training.optimizer": "paged_adamw_8bit"}, {}, 9.0, "optimizer", "bitsandbytes is not installed"),
        ({"model.attn_implementation": "flash_attention_2"}, BNB, 9.0, "attention", "needs flash-attn, which is not installed"),
        ({"model.attn_implementation": "flash_attention_2"}, BNB | {"flash-attn": "2"}, 7.5, "attention", "needs compute capability 8.0"),
    ],
)
def test_what_cannot_work_is_a_problem_with_its_reason(used, changes, installed, capability, part, why):
    found = used(changes, installed=installed, capability=capability)[part]
    assert found.problem and why in found.why


def test_packed_rows_under_sdpa_have_a_mask(used):
    assert "mask" in used({"training.sample_packing": True})["attention"].why
    assert "mask" not in used()["attention"].why


def test_lora_kernels_beside_dropout_are_another_training(used):
    asked = {"axolotl": {"lora_qkv_kernel": True}}
    assert "train otherwise than PEFT" in used(asked | {"training.lora_dropout": 0.05})["LoRA"].why
    assert used(asked | {"training.lora_dropout": 0})["LoRA"].why == "asked for in axolotl"


def test_a_sharded_head_is_not_fused(used):
    assert used({"launch": {"engine": "deepspeed", "zero_stage": 3}})["loss"].used == "logits of the trained tokens"
