"""How a process uses the GPU that it finds: torch's answers are replaced, as there may be none."""

from types import SimpleNamespace

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from recipekit.runner.worker.gpu import fastest_dtype, has_code, keep_on_one_gpu, load_in_fp32, unusable_gpu

TODAYS = ["sm_75", "sm_80", "sm_86", "sm_90", "sm_100", "sm_120"]


def test_a_gpu_that_torch_cannot_use_is_refused_with_torchs_reason(monkeypatch):
    def init():
        raise RuntimeError("The NVIDIA driver on your system is too old\nsecond line")

    monkeypatch.delenv("ACCELERATE_USE_CPU", raising=False)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cuda, "init", init)
    assert "cannot use: The NVIDIA driver on your system is too old; `RECIPEKIT_DEVICE=cpu`" in unusable_gpu()
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: TODAYS)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (7, 5))
    assert unusable_gpu() == ""
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda: (6, 0))
    assert "it has no code for compute capability 6.0, only for sm_75, sm_80" in unusable_gpu()


@pytest.mark.parametrize(
    ("capability", "runs"),
    [((6, 0), False), ((7, 0), False), ((7, 5), True), ((8, 9), True), ((9, 0), True), ((11, 0), False), ((12, 1), True)],
)
def test_code_for_a_gpu_is_of_its_major_version_and_not_newer(capability, runs):
    assert has_code(capability, TODAYS) == runs
    assert has_code(capability, [*TODAYS, "compute_75"]) == (capability >= (7, 5)), "the driver compiles an intermediate form"
    assert has_code(capability, ["gfx942"]), "another vendor's names say nothing"


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


@pytest.mark.parametrize(
    ("keys", "loaded"),
    [
        ({"bf16": True}, "bfloat16"),
        ({"fp16": True}, "float16"),
        ({"bf16": True, "load_in_8bit": True}, "bfloat16"),
        ({"bf16": True, "fp32_weights": True}, "float32"),
        ({"bf16": False, "fp16": False}, "float32"),
        ({"bf16": False, "fp16": False, "load_in_8bit": True}, "float32"),
    ],
)
def test_what_is_computed_or_trained_in_fp32_is_loaded_in_fp32(keys, loaded):
    """Next to 8-bit layers Axolotl loads fp16: norms and embeddings of a training in fp32, whose gradients would overflow."""
    from axolotl.utils.config import resolve_dtype
    from axolotl.utils.dict import DictDefault

    cfg = DictDefault(keys)
    resolve_dtype(cfg)
    load_in_fp32(cfg)
    assert cfg.torch_dtype == getattr(torch, loaded)
