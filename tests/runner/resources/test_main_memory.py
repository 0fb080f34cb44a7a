"""The main memory of a sharded training on GPUs, by hand."""

import pytest
from recipekit.runner.models.known_config import KnownConfig
from recipekit.runner.models.size import size_of_config
from recipekit.runner.resources.main_memory import main_memory
from recipekit.runner.resources.memory import CPU_RUNTIME
from recipekit.runner.runtime.machine import Machine
from recipekit.schemas.sections import Recipe

from ...support.model_configs import LLAMA2

GPUS = Machine("cuda", 8, "a GPU", 80 << 30, True)
FSDP = {"engine": "torchrun", "num_processes": 8, "fsdp": True}
ZERO_3 = {"engine": "deepspeed", "num_processes": 8, "zero_stage": 3}
WEIGHTS = 6_738_415_616


@pytest.fixture
def needed(minimal):
    size = size_of_config(KnownConfig(LLAMA2))
    assert size and size.parameters == WEIGHTS

    def build(launch, machine=GPUS, trained=WEIGHTS, **training):
        changes = {"launch": launch} | {f"training.{key}": value for key, value in training.items()}
        return main_memory(Recipe.from_values(minimal(changes)), size, machine, trained)

    return build


def test_without_sharding_nothing_is_in_main_memory(needed):
    assert needed({}) == needed({"engine": "torchrun", "num_processes": 8}) == needed(FSDP, Machine()) == {}


def test_a_checkpoint_of_fsdp_is_gathered_by_one_process_in_fp32(needed):
    assert needed(FSDP, adapter="none") == {"processes": 8 * CPU_RUNTIME, "checkpoint": 12 * WEIGHTS}


def test_fsdp_loads_the_model_once_under_an_adapter_and_4_bits_on_the_gpus(needed):
    assert needed(FSDP, trained=1_000_000)["loading"] == 2 * WEIGHTS
    assert "loading" not in needed(FSDP, trained=1_000_000, adapter="qlora")


def test_what_is_offloaded_is_that_of_all_processes_of_a_machine(needed):
    assert needed(ZERO_3 | {"offload_optimizer": True, "offload_params": True}, adapter="none")["offloaded"] == 18 * WEIGHTS
    assert needed(ZERO_3 | {"offload_optimizer": True, "num_nodes": 2, "main_address": "a:1"}, adapter="none")["offloaded"] == 8 * WEIGHTS
    assert needed(FSDP | {"offload_params": True}, adapter="none")["offloaded"] == 16 * WEIGHTS
