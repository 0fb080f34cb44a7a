"""Steps that a weight's type rounds away are noticed."""

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from recipekit.runner.worker.weight_movement import CHECKED_STEPS, MovementCheck


def trained(dtype, rate, steps=CHECKED_STEPS, warmup=0):
    """A layer after AdamW's steps under bf16 autocast, and what the check says of it."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(64, 64).to(dtype)
    torch.nn.init.normal_(layer.weight, std=0.02)
    before = layer.weight.detach().clone()
    optimizer, check, warnings = torch.optim.AdamW(layer.parameters(), lr=rate, weight_decay=0), MovementCheck(), []
    for step in range(steps + warmup):
        optimizer.param_groups[0]["lr"] = 0 if step < warmup else rate
        with torch.autocast("cpu", torch.bfloat16):
            loss = layer(torch.randn(8, 64, dtype=dtype)).float().square().mean()
        loss.backward()
        check.before_step(layer, optimizer.param_groups[0]["lr"])
        optimizer.step()
        warnings.append(check.after_step())
        optimizer.zero_grad()
    return (layer.weight != before).float().mean().item(), warnings[-1]


@pytest.mark.parametrize("rate", [1e-6, 1e-5])
def test_bf16_weights_do_not_move_at_usual_rates_and_fp32_weights_do(rate):
    share, warning = trained(torch.bfloat16, rate)
    assert share < 0.2 and "(bfloat16) cannot represent steps this small" in warning
    share, warning = trained(torch.float32, rate)
    assert share > 0.99 and warning == ""


def test_a_learning_rate_that_bf16_can_apply_is_accepted():
    share, warning = trained(torch.bfloat16, 1e-3)
    assert share > 0.5 and warning == ""


def test_steps_of_a_warm_up_without_a_rate_are_not_counted():
    assert trained(torch.float32, 1e-5, warmup=2)[1] == ""
    assert trained(torch.bfloat16, 1e-6, warmup=2)[1] != ""


def test_frozen_weights_need_not_move():
    layer = torch.nn.Embedding(100, 8)
    optimizer, check = torch.optim.AdamW(layer.parameters(), lr=1e-4, weight_decay=0), MovementCheck()
    for _ in range(CHECKED_STEPS):
        layer(torch.tensor([3])).sum().backward()
        check.before_step(layer, 1e-4)
        optimizer.step()
        assert check.after_step() == ""
        optimizer.zero_grad()
    assert 0 < check.pushed < 100
