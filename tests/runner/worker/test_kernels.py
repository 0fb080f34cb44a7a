"""Liger's and Axolotl's kernels train what transformers' and PEFT's layers train: in fp32, through Triton's interpreter."""

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
pytest.importorskip("liger_kernel", reason="needs the extra [train]")

from recipekit.runner.launch.kernel_choice import LIGER_FAMILIES, LORA_FAMILIES
from recipekit.runner.worker.kernels import keep_compiled_kernels, not_in_force

from ...support.paths import ROOT

QUICK = ("llama:lora", "qwen2:liger")
ALL = {f"{family}:liger" for family in LIGER_FAMILIES} | {f"{family}:lora" for family in LORA_FAMILIES}


def compared(*what):
    argv = [sys.executable, "-W", "ignore", str(ROOT / "tests" / "support" / "kernel_parity.py"), *what]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=1200)
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.rpartition("compared:")[2])


def hold(found):
    assert {name: one["not_in_force"] for name, one in found.items() if one["not_in_force"]} == {}
    assert max(one["losses"] for one in found.values()) < 1e-5
    assert max(one["gradients"] for one in found.values()) < 1e-5
    assert all(one["learnt"] != 0 for one in found.values())


def test_kernels_have_the_losses_of_ten_steps_and_the_gradients_of_the_plain_path():
    hold(compared(*QUICK))


@pytest.mark.long
@pytest.mark.parametrize("what", sorted(ALL - set(QUICK)))
def test_every_family_is_held_to_the_plain_path(what):
    hold(compared(what))


def test_ligers_mlp_has_no_biases_for_a_model_that_has_them():
    """transformers would only warn that the weights are not used, so architecture.py names such a model."""
    from liger_kernel.transformers.swiglu import LigerSwiGLUMLP
    from transformers import LlamaConfig
    from transformers.models.llama.modeling_llama import LlamaMLP

    config = LlamaConfig(hidden_size=8, intermediate_size=8, num_attention_heads=1, mlp_bias=True)
    assert LlamaMLP(config).gate_proj.bias is not None and LigerSwiGLUMLP(config).gate_proj.bias is None


def test_a_kernel_that_is_not_in_force_is_found():
    from transformers import LlamaConfig, LlamaForCausalLM

    model = LlamaForCausalLM(LlamaConfig(vocab_size=8, hidden_size=8, intermediate_size=8, num_hidden_layers=1, num_attention_heads=1))
    keys = {"liger_rope": True, "liger_rms_norm": True, "lora_mlp_kernel": True, "lora_o_kernel": False}
    assert not_in_force(SimpleNamespace(get=keys.get), model) == ["liger_rope", "liger_rms_norm", "lora_mlp_kernel"]


def test_compiled_kernels_are_kept_in_the_run_where_the_home_cannot_be_written_to(tmp_path, monkeypatch):
    for name, value in (("TRITON_CACHE_DIR", ""), ("TRITON_HOME", ""), ("HOME", str(tmp_path / "home"))):
        monkeypatch.setenv(name, value)
    keep_compiled_kernels(tmp_path / "run")
    assert not os.environ["TRITON_CACHE_DIR"] and (tmp_path / "home" / ".triton" / "cache").is_dir()
    monkeypatch.setenv("HOME", "/proc/nothing")  # not even root can make a folder there
    keep_compiled_kernels(tmp_path / "run")
    assert os.environ["TRITON_CACHE_DIR"] == str(tmp_path / "run")
    monkeypatch.setenv("TRITON_CACHE_DIR", "elsewhere")
    keep_compiled_kernels(tmp_path / "run")
    assert os.environ["TRITON_CACHE_DIR"] == "elsewhere"
