"""Steps that a weight's type rounds away are noticed, in whole weights and in the shards of several processes."""

import json
import subprocess
import sys

import pytest

torch = pytest.importorskip("torch", reason="needs the extra [train]")

from recipekit.runner.worker import weight_movement as module
from recipekit.runner.worker.weight_movement import CHECKED_STEPS, MovementCheck

from ...support.waiting import PATIENCE

CPU = torch.device("cpu")


def trained(dtype, rate, steps=CHECKED_STEPS, warmup=0):
    """A layer after AdamW's steps under bf16 autocast, and what the check says of it."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(64, 64).to(dtype)
    torch.nn.init.normal_(layer.weight, std=0.02)
    before = layer.weight.detach().clone()
    optimizer, check, warnings = torch.optim.AdamW(layer.parameters(), lr=rate, weight_decay=0), MovementCheck(), []
    check.follow(optimizer)
    for step in range(steps + warmup):
        optimizer.param_groups[0]["lr"] = 0 if step < warmup else rate
        with torch.autocast("cpu", torch.bfloat16):
            loss = layer(torch.randn(8, 64, dtype=dtype)).float().square().mean()
        loss.backward()
        optimizer.step()
        warnings.append(check.after_step(CPU))
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


def test_only_steps_at_the_full_rate_are_counted():
    """In bf16, a warm-up's steps round to nothing at a rate that moves the weights later: to stop there would be wrong."""
    torch.manual_seed(0)
    layer = torch.nn.Linear(64, 64).bfloat16()
    optimizer, check = torch.optim.AdamW(layer.parameters(), lr=1e-3, weight_decay=0), MovementCheck()
    schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: min(1, (step + 1) / 100))
    check.follow(optimizer)
    for step in range(100 + CHECKED_STEPS):
        layer(torch.randn(8, 64, dtype=torch.bfloat16)).float().square().mean().backward()
        optimizer.step()
        assert check.after_step(CPU) == ""
        assert bool(check.steps) == (step >= 89)
        optimizer.zero_grad()
        schedule.step()
    assert check.steps == CHECKED_STEPS


def test_beside_an_adapter_only_what_is_in_16_bits_is_counted():
    low_rank, whole = torch.nn.Linear(8, 8), torch.nn.Linear(8, 8).bfloat16()
    optimizer, check = torch.optim.AdamW([*low_rank.parameters(), *whole.parameters()], lr=1e-7, weight_decay=0), MovementCheck()
    check.follow(optimizer, has_adapter=True)
    said = ""
    for _ in range(CHECKED_STEPS):
        (low_rank(torch.randn(4, 8)).sum() + whole(torch.randn(4, 8, dtype=torch.bfloat16)).sum()).backward()
        optimizer.step()
        said = check.after_step(CPU)
        optimizer.zero_grad()
    assert check.pushed == (64 + 8) * CHECKED_STEPS and check.kinds == {"bfloat16"}
    assert "of modules trained whole beside the adapter" in said


def test_frozen_weights_need_not_move():
    layer = torch.nn.Embedding(100, 8)
    optimizer, check = torch.optim.AdamW(layer.parameters(), lr=1e-4, weight_decay=0), MovementCheck()
    check.follow(optimizer)
    for _ in range(CHECKED_STEPS):
        layer(torch.tensor([3])).sum().backward()
        optimizer.step()
        assert check.after_step(CPU) == ""
        optimizer.zero_grad()
    assert check.pushed == check.moved == 8 * CHECKED_STEPS


def test_a_step_that_is_skipped_is_not_counted():
    """As fp16's scaler skips those whose gradients are not finite: no weight moves, whatever its type."""
    optimizer, check = torch.optim.AdamW(torch.nn.Linear(8, 8).parameters(), lr=1e-4), MovementCheck()
    check.follow(optimizer)
    assert [check.after_step(CPU) for _ in range(CHECKED_STEPS + 1)] == [""] * (CHECKED_STEPS + 1)
    assert check.steps == 0


def test_without_an_optimizer_to_follow_the_processes_do_not_ask_each_other(monkeypatch):
    """As under an adapter: it would be a message in every step to the end."""
    monkeypatch.setattr(module, "all_reduce_sum", lambda *_: pytest.fail("asked"))
    check = MovementCheck()
    check.follow(torch.optim.AdamW(torch.nn.Linear(8, 8).parameters()), has_adapter=True)
    assert check.after_step(CPU) == ""


SHARDED = """
import json, sys, torch
from torch import distributed
from torch.distributed.fsdp import fully_shard
from recipekit.runner.worker.weight_movement import CHECKED_STEPS, MovementCheck
torch.set_num_threads(1)
distributed.init_process_group("gloo")
rank, answers = distributed.get_rank(), {}
for name in ("bfloat16", "float32"):
    torch.manual_seed(0)
    model = torch.nn.Sequential(torch.nn.Linear(64, 64), torch.nn.Linear(64, 1)).to(getattr(torch, name))  # one row: one process has none
    fully_shard(model, mesh=distributed.device_mesh.init_device_mesh("cpu", (2,)))
    optimizer, check = torch.optim.AdamW(model.parameters(), lr=1e-6, weight_decay=0.0), MovementCheck()
    check.follow(optimizer)
    torch.manual_seed(rank)
    for _ in range(CHECKED_STEPS):
        model(torch.randn(8, 64, dtype=getattr(torch, name))).float().square().mean().backward()
        optimizer.step()
        said = check.after_step(torch.device("cpu"))
        optimizer.zero_grad()
    found = [None, None]
    distributed.all_gather_object(found, {"said": said, "pushed": check.pushed, "moved": check.moved})
    answers[name] = found
if rank == 0:
    json.dump(answers, open(sys.argv[1], "w"))
distributed.barrier()
distributed.destroy_process_group()
"""


def test_shards_of_two_processes_are_compared_and_counted_together(tmp_path):
    (tmp_path / "two.py").write_text(SHARDED)
    argv = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    argv += [tmp_path / "two.py", tmp_path / "answers.json"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    answers = json.loads((tmp_path / "answers.json").read_text())
    weights = (64 * 64 + 64 + 64 + 1) * CHECKED_STEPS
    for first, second in answers.values():
        assert first == second and 0.9 * weights < first["pushed"] <= weights
    assert "(bfloat16) cannot represent steps this small" in answers["bfloat16"][0]["said"]
    assert answers["float32"][0]["said"] == "" and answers["float32"][0]["moved"] > 0.9 * weights
