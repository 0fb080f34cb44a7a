"""What an adapter's configuration could make peft do is refused before the adapter is loaded; what real adapters have passes."""

import json
from pathlib import Path
from typing import Any

import pytest
from recipekit.runner.models.adapter_check import adapter_faults
from recipekit.runner.models.folder_check import check_model_folder
from recipekit.runner.models.reference import require_weights_of, resolve_target
from recipekit.schemas.base.errors import UserError

SHAPES = {"base_model.model.model.layers.0.self_attn.q_proj.lora_A.weight": (4, 64)}
SLOW = r"(?:(?:[a-z_.0-9]+)+)+!"
REFUSED: dict[str, dict[str, Any]] = {
    "target_modules": {"target_modules": SLOW}, "exclude_modules": {"exclude_modules": SLOW}, "a list of layers": {"layers_pattern": [SLOW]},
    "rank_pattern": {"rank_pattern": {SLOW: 4}}, "alpha_pattern": {"alpha_pattern": {SLOW: 4}}, "modules_to_save": {"modules_to_save": [SLOW]},
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_a_pattern_that_backtracks_without_end_is_refused(name: str) -> None:
    (fault,) = adapter_faults(REFUSED[name], SHAPES)
    assert fault == "has a pattern that takes more than 5 seconds for a few names of modules"


FAULTS = {
    "has a pattern that is none: missing )": {"target_modules": "(("},
    "r is 1,000,000,000, but no side of its weights is longer than 64": {"r": 10**9},
    "rank_pattern is 65, but no side": {"r": 4, "rank_pattern": {"q_proj": 65}},
    "num_virtual_tokens is 1,000,000": {"num_virtual_tokens": 10**6},
    "target_modules has 20,000 entries": {"target_modules": [f"m{i}" for i in range(20_000)]},
    "wants 1000000000 iterations": {"init_lora_weights": "pissa_niter_1000000000"},
    "acts from certain tokens on (an aLoRA": {"alora_invocation_tokens": [5, 6]},
    "repeats layers of its base model": {"layer_replication": [[0, 10**9]]},
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_would_take_all_memory_or_time_is_refused(fault: str) -> None:
    assert [found[: len(fault)] for found in adapter_faults(FAULTS[fault], SHAPES)] == [fault]


SOUND: list[dict[str, Any]] = [
    {"r": 64, "target_modules": ["q_proj", "v_proj"], "rank_pattern": {}, "modules_to_save": None},
    {"target_modules": r"(?:.*?(?:language|text).*?(?:self_attn|mlp).*?(?:q_proj|k_proj).*?)|(?:\bmodel\.layers\.[\d]{1,}\.(?:q_proj))"},
    {"target_modules": "all-linear", "rank_pattern": {r"layers\.(0|1)\..*": 8, "q_proj": 4}, "layers_pattern": "layers"},
    {"target_modules": None, "exclude_modules": 3, "rank_pattern": "x", "r": "x", "layers_pattern": [None, "h"]},  # peft refuses these
    {"init_lora_weights": "pissa_niter_16"},
    {},
]


@pytest.mark.parametrize("values", SOUND, ids=range(len(SOUND)))
def test_what_adapters_have_passes(values: dict[str, Any]) -> None:
    assert [*adapter_faults(values, SHAPES)] == []
    assert [*adapter_faults(values, {})] == []


def test_the_ranks_are_compared_with_the_weights_of_the_folder(tmp_path: Path) -> None:
    header = json.dumps({name: {"dtype": "F32", "shape": [4, 64], "data_offsets": [0, 1024]} for name in SHAPES}).encode()
    (tmp_path / "adapter_model.safetensors").write_bytes(len(header).to_bytes(8, "little") + header + bytes(1024))
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "r": 10**6}))
    with pytest.raises(UserError, match=r"adapter_config.json: r is 1,000,000, but no side"):
        check_model_folder(tmp_path)


@pytest.mark.parametrize("base", [3, None, [], {"a": 1}, "/etc", "../../etc", "a\0b", "/" + "x" * 5000, "run:../../x", "embedded:../x", ""])
def test_a_base_model_that_is_none_is_refused(tmp_path: Path, base: object) -> None:
    (tmp_path / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "base_model_name_or_path": base}))
    with pytest.raises(UserError) as refused:
        require_weights_of(resolve_target(str(tmp_path), tmp_path / "runs"))
    assert len(str(refused.value)) < 6000
