"""How a process uses the GPU that it finds: torch's answers are replaced, as there may be none."""

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from recipekit.runner.worker.gpu import fastest_dtype, keep_on_one_gpu, unusable_gpu


def test_a_gpu_that_torch_cannot_use_is_refused_with_torchs_reason(monkeypatch):
    def init():
        raise RuntimeError("The NVIDIA driver on your system is too old\nsecond line")

    monkeypatch.delenv("ACCELERATE_USE_CPU", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)
    assert "cannot use: The NVIDIA driver on your system is too old; `RECIPEKIT_DEVICE=cpu`" in unusable_gpu()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert unusable_gpu() == ""


def test_a_training_for_a_cpu_needs_no_gpu(monkeypatch):
    monkeypatch.setenv("ACCELERATE_USE_CPU", "true")
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert unusable_gpu() == ""


@pytest.mark.parametrize(
    ("device", "computes_bf16", "dtype"), [("cpu", True, "float32"), ("cuda", True, "bfloat16"), ("cuda", False, "float16")]
)
def test_a_model_is_loaded_in_the_type_that_the_device_computes_fast(monkeypatch, device, computes_bf16, dtype):
    def supported(including_emulation=True):
        return computes_bf16 or including_emulation  # as on a T4, where torch emulates bf16

    monkeypatch.setattr(torch.cuda, "is_bf16_supported", supported)
    assert fastest_dtype(device) == getattr(torch, dtype)


@pytest.mark.parametrize(
    ("cuda", "before", "after"), [(True, "auto", {"": 0}), (True, {"": 3}, {"": 3}), (True, None, None), (False, "auto", "auto")]
)
def test_a_single_process_leaves_no_layer_in_main_memory(monkeypatch, cuda, before, after):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
    cfg = SimpleNamespace(device_map=before)
    keep_on_one_gpu(cfg)
    assert cfg.device_map == after
