"""LoRA layers fused on a CPU: PEFT's outputs and gradients with the same random numbers, for less memory."""

import copy

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")
peft = pytest.importorskip("peft", reason="needs the extra [train]")

from recipekit.runner.worker.cpu_lora import UnpackedForward, fuse
from torch import nn


class Model(nn.Module):
    """Two layers that share an input, one with a bias, and one on their sum."""

    def __init__(self):
        super().__init__()
        self.left, self.right, self.last = nn.Linear(24, 40, bias=False), nn.Linear(24, 40), nn.Linear(40, 8, bias=False)

    def forward(self, x):
        return self.last(self.left(x) * torch.sigmoid(self.right(x)))


def adapted(**options):
    torch.manual_seed(0)
    config = peft.LoraConfig(**{"r": 4, "lora_alpha": 12, "target_modules": ["left", "right", "last"]} | options)
    model = peft.get_peft_model(Model(), config).train()
    for name, weight in model.named_parameters():
        if "lora_B" in name:
            nn.init.normal_(weight)
    return model


def trained(model, x):
    torch.manual_seed(7)
    model.zero_grad()
    x = x.clone().requires_grad_()
    out = model(x)
    (out * torch.arange(8.0)).sum().backward()
    return [out.detach(), x.grad, *(weight.grad for weight in model.parameters() if weight.requires_grad)], torch.get_rng_state()


@pytest.mark.parametrize("options", [{}, {"lora_dropout": 0.3}, {"lora_dropout": 0.3, "use_rslora": True}], ids=str)
def test_outputs_gradients_and_random_numbers_are_those_of_peft(options):
    plain, x = adapted(**options), torch.randn(2, 5, 24)
    fused = copy.deepcopy(plain)
    assert fuse(fused) == 3
    (expected, state), (found, after) = trained(plain, x), trained(fused, x)
    for one, other in zip(found, expected, strict=True):
        assert (one - other).norm() <= 1e-5 * other.norm()
    assert torch.equal(after, state)


def test_without_training_nothing_is_dropped():
    plain, x = adapted(lora_dropout=0.9).eval(), torch.randn(3, 24)
    fused = copy.deepcopy(plain)
    fuse(fused)
    torch.testing.assert_close(fused(x), plain(x))
    with fused.disable_adapter():
        torch.testing.assert_close(fused(x), fused.get_base_model()(x))


@pytest.mark.parametrize("options", [{"use_dora": True}, {"lora_bias": True, "target_modules": ["right"]}], ids=str)
def test_other_kinds_of_lora_keep_pefts_layers(options):
    assert fuse(adapted(**options)) == 0


def test_a_layer_of_another_type_of_input_is_computed_by_peft():
    plain, x = adapted(), torch.randn(3, 24)
    fused = copy.deepcopy(plain)
    fuse(fused)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = x.bfloat16()
        torch.testing.assert_close(fused.base_model.model.left(half), plain.base_model.model.left(half))


def kept_bytes(model, x):
    own = {weight.untyped_storage().data_ptr() for weight in model.parameters()}
    alive = {}

    def pack(tensor):
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            alive[storage.data_ptr()] = (storage.nbytes(), tensor)
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        out = model(x)
    assert out.requires_grad
    return sum(size for size, _ in alive.values())


def test_the_shared_input_is_kept_once_and_dropout_as_a_byte():
    plain, x = adapted(lora_dropout=0.3), torch.randn(64, 24, requires_grad=True)
    fused = copy.deepcopy(plain)
    fuse(fused)
    saved = kept_bytes(plain, x) - kept_bytes(fused, x)
    inputs = 24 + 24 + 40  # of the three layers
    dropped_and_noise, masks, shared = 8 * inputs, inputs, 4 * (24 + 40)
    assert saved == 64 * (dropped_and_noise - masks - shared)


def test_a_weight_in_4_bits_is_dequantised_once(monkeypatch):
    functional = pytest.importorskip("bitsandbytes.functional", reason="needs the extra [train]")
    calls = []
    monkeypatch.setattr(functional, "dequantize_4bit", lambda data, state: calls.append(state) or torch.ones(3, 2))
    layer = nn.Linear(2, 3)
    layer.compute_dtype, layer.weight.quant_state = None, "state"
    forward = UnpackedForward(layer)
    x = torch.ones(1, 2)
    assert torch.equal(forward(x), forward(x)) and forward.weight(torch.float32).shape == (3, 2)
    assert calls == ["state"]
