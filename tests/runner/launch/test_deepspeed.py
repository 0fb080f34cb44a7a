"""deepspeed.json for every ZeRO stage, and whether DeepSpeed itself takes it."""

import json
from importlib.util import find_spec
from itertools import product

import pytest
from recipekit.runner.launch.deepspeed import render_deepspeed
from recipekit.runner.runtime.machine import Machine
from recipekit.schemas.sections import Launch

CPU = Machine()
GPU = Machine("cuda", 2, "a GPU", 24 << 30, True)
LAUNCHES = [
    Launch("torchrun", 2, zero_stage=stage, offload_optimizer=optimizer, offload_params=params)
    for stage, optimizer, params in product((1, 2, 3), (False, True), (False, True))
]
# DeepSpeed's own classes; `auto` is what accelerate fills in before DeepSpeed reads the file.
ACCEPTS = """
import json, sys
from deepspeed.runtime.zero.config import DeepSpeedZeroConfig, read_zero_config_deprecated
from deepspeed.runtime.config import get_gradient_accumulation_steps
fields = {f.alias or name for name, f in DeepSpeedZeroConfig.model_fields.items()} | set(DeepSpeedZeroConfig.model_fields)
answers = []
for config in json.load(sys.stdin):
    zero = config["zero_optimization"]
    given = {key: value for key, value in zero.items() if value != "auto"}
    loaded = DeepSpeedZeroConfig(**given).model_dump(mode="json")
    off = lambda name: (loaded[name] or {}).get("device", "none").rpartition(".")[2]
    answers.append({"unknown": sorted(set(zero) - fields), "stage": loaded["stage"],
                    "optimizer": off("offload_optimizer"), "params": off("offload_param")})
print("answers:" + json.dumps(answers))
"""


def test_without_a_zero_stage_there_is_no_file():
    assert render_deepspeed(Launch(), GPU) is None


@pytest.mark.parametrize("stage", [1, 2, 3])
def test_each_zero_stage_is_rendered(stage):
    config = render_deepspeed(Launch("torchrun", 2, zero_stage=stage), GPU)
    assert config and config["zero_optimization"]["stage"] == stage
    assert ("reduce_scatter" in config["zero_optimization"]) is (stage >= 2)


def test_zero_3_gathers_weights_when_saving():
    config = render_deepspeed(Launch("torchrun", 2, zero_stage=3), GPU)
    assert config and config["zero_optimization"]["stage3_gather_16bit_weights_on_model_save"] is True


@pytest.mark.parametrize("launch", LAUNCHES, ids=str)
def test_offloads_are_rendered_only_where_set(launch):
    config = render_deepspeed(launch, GPU)
    assert config
    zero = config["zero_optimization"]
    assert ("offload_optimizer" in zero) is launch.offload_optimizer
    assert ("offload_param" in zero) is (launch.offload_params and launch.zero_stage == 3)


def test_pinned_memory_and_overlap_need_a_gpu():
    launch = Launch("torchrun", 2, zero_stage=3, offload_optimizer=True, offload_params=True)
    for machine, on in ((GPU, True), (CPU, False)):
        config = render_deepspeed(launch, machine)
        assert config
        zero = config["zero_optimization"]
        assert (zero["overlap_comm"], zero["offload_optimizer"]["pin_memory"], zero["offload_param"]["pin_memory"]) == (on, on, on)


def test_recipe_values_are_left_to_accelerate():
    config = render_deepspeed(Launch("torchrun", 2, zero_stage=2), GPU)
    assert config
    held = ["gradient_accumulation_steps", "gradient_clipping", "train_batch_size", "train_micro_batch_size_per_gpu"]
    assert [config[key] for key in held] == ["auto"] * 4
    assert config["bf16"] == config["fp16"] == {"enabled": "auto"}
    assert "optimizer" not in config and "scheduler" not in config


@pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs the extra [train]: deepspeed")
def test_deepspeed_reads_every_stage_and_offload_as_it_was_meant(warm):
    configs = json.dumps([render_deepspeed(launch, GPU) for launch in LAUNCHES])
    done = warm("-c", ACCEPTS, input=configs)
    assert done.returncode == 0, done.stderr
    answers = json.loads(next(line for line in done.stdout.splitlines() if line.startswith("answers:"))[8:])
    wanted = [
        {
            "unknown": [],
            "stage": launch.zero_stage,
            "optimizer": "cpu" if launch.offload_optimizer else "none",
            "params": "cpu" if launch.offload_params and launch.zero_stage == 3 else "none",
        }
        for launch in LAUNCHES
    ]
    assert answers == wanted
