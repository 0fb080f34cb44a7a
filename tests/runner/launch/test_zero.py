"""The rendered ZeRO files in DeepSpeed itself: two processes on a CPU under gloo step as one process does with the same rows."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from itertools import product

import pytest
from recipekit.runner.launch.deepspeed import render_deepspeed
from recipekit.runner.runtime.machine import Machine
from recipekit.schemas.sections import Launch

from ...support.waiting import PATIENCE

pytestmark = [
    pytest.mark.train,
    pytest.mark.long,
    pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs the extra [train]: deepspeed"),
]
MICRO, ACCUMULATION, PROCESSES, STEPS = 2, 2, 2, 3
# What accelerate puts in the place of `auto`, from the values that axolotl.yml holds.
FILLED = {"train_micro_batch_size_per_gpu": MICRO, "gradient_accumulation_steps": ACCUMULATION, "gradient_clipping": 1.0,
          "train_batch_size": MICRO * ACCUMULATION * PROCESSES}  # fmt: skip
# On a GPU accelerate takes DeepSpeed's own CPU Adam where the optimizer is offloaded; compiling it takes minutes.
FP32 = {"bf16": {"enabled": False}, "fp16": {"enabled": False}, "zero_force_ds_cpu_optimizer": False}
LAUNCHES = {
    f"stage {stage}{', optimizer offloaded' if optimizer else ''}{', weights offloaded' if params else ''}": Launch(
        "deepspeed", PROCESSES, zero_stage=stage, offload_optimizer=optimizer, offload_params=params
    )
    for stage, optimizer, params in product((1, 2, 3), (False, True), (False, True))
    if not params or stage == 3
}
LOW = {"stage 2": {}, "stage 3": {}}
MODEL = """
import json, os, sys, torch
MICRO, ACCUMULATION, STEPS = 2, 2, 3
def model():
    torch.manual_seed(0)
    return torch.nn.Sequential(torch.nn.Linear(16, 32), torch.nn.Tanh(), torch.nn.Linear(32, 4))
torch.manual_seed(1)
ROWS, WANTED = torch.randn(STEPS, ACCUMULATION, 2, MICRO, 16), torch.randn(STEPS, ACCUMULATION, 2, MICRO, 4)
"""
ONE = (
    MODEL
    + """
net = model()
optimizer = torch.optim.AdamW(net.parameters(), lr=1e-2, weight_decay=0.0)
for step in range(STEPS):
    rows, wanted = ROWS[step].reshape(-1, 16), WANTED[step].reshape(-1, 4)
    torch.nn.functional.mse_loss(net(rows), wanted).backward()
    torch.nn.utils.clip_grad_norm_(net.parameters(), 1.0)
    optimizer.step()
    optimizer.zero_grad()
print("answers:" + json.dumps([p.flatten().tolist() for p in net.parameters()]))
"""
)
TWO = (
    MODEL
    + """
import deepspeed
from types import SimpleNamespace
from recipekit.runner.worker.weight_movement import MovementCheck
deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # minutes of compiling, for messages that gloo carries as well
def finished(gather):  # of several gathers DeepSpeed waits for the last, which NCCL's order makes enough and gloo's does not
    def gather_and_wait(*arguments, **named):
        handle = gather(*arguments, **named)
        if handle is not None:
            handle.wait()
        return handle
    return gather_and_wait
for name in ("all_gather", "all_gather_into_tensor"):
    setattr(deepspeed.comm, name, finished(getattr(deepspeed.comm, name)))
deepspeed.init_distributed("gloo")
rank, answers = torch.distributed.get_rank(), {}
for name, config in json.load(open(sys.argv[1])).items():
    net = model()
    optimizer = torch.optim.AdamW(net.parameters(), lr=config.pop("rate", 1e-2), weight_decay=0.0)
    if config["bf16"]["enabled"]:
        net.bfloat16()
    engine, *_ = deepspeed.initialize(model=net, optimizer=optimizer, config=config)
    check = MovementCheck()
    check.follow(SimpleNamespace(optimizer=engine.optimizer))  # as accelerate's wrapper has it
    for step in range(STEPS):
        for part in range(ACCUMULATION):
            rows = ROWS[step, part, rank].to(next(net.parameters()).dtype)
            loss = torch.nn.functional.mse_loss(engine(rows).float(), WANTED[step, part, rank])
            engine.backward(loss)
            with torch.no_grad():  # gloo gathers into views, which autograd forbids
                engine.step()
        said = check.after_step(torch.device("cpu"))
    movement = {"said": said, "pushed": check.pushed, "moved": check.moved}
    with deepspeed.zero.GatheredParameters(list(net.parameters()), enabled=config["zero_optimization"]["stage"] == 3):
        answers[name] = {"weights": [p.detach().float().flatten().tolist() for p in net.parameters()], "movement": movement}
    engine.destroy()
if rank == 0:
    json.dump(answers, open(sys.argv[2], "w"))
torch.distributed.barrier()  # a process that leaves while the other still waits for it makes gloo abort the other
torch.distributed.destroy_process_group()
"""
)


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """Weights after the steps, by launch; under "one process" those that they must be."""
    folder = tmp_path_factory.mktemp("zero")
    configs = {name: render_deepspeed(launch, Machine()) | FILLED | FP32
               for name, launch in LAUNCHES.items()}  # fmt: skip
    for config in configs.values():
        sizes = {key: 1_000_000 for key, value in config["zero_optimization"].items() if value == "auto"}
        config["zero_optimization"] |= sizes
        assert "auto" not in json.dumps(config)
    low = {name: {**configs[name], "bf16": {"enabled": True, **more}, "rate": 1e-6} for name, more in LOW.items()}
    (folder / "configs.json").write_text(json.dumps(configs | {f"{name}, bf16": config for name, config in low.items()}))
    (folder / "two.py").write_text(TWO)
    env = {**os.environ, "DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(PROCESSES)]
    argv = [*torchrun, folder / "two.py", folder / "configs.json", folder / "answers.json"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    alone = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", ONE], env=env, capture_output=True, text=True, timeout=PATIENCE, check=True
    )
    found = json.loads((folder / "answers.json").read_text())
    return found | {"one process": json.loads(alone.stdout.partition("answers:")[2])}


@pytest.mark.parametrize("name", LAUNCHES)
def test_two_processes_under_zero_end_with_the_weights_of_one(answers, name):
    """Only the order of float32 sums differs; three steps of 0.01 each leave that at 1e-5."""
    for sharded, alone in zip(answers[name]["weights"], answers["one process"], strict=True):
        assert sharded == pytest.approx(alone, abs=2e-5)
    assert answers[name]["weights"] != []


WEIGHTS = 16 * 32 + 32 + 32 * 4 + 4


@pytest.mark.parametrize("name", [*LAUNCHES, *(f"{name}, bf16" for name in LOW)])
def test_the_copies_that_deepspeed_steps_are_seen_to_move(answers, name):
    """Those of both processes, in fp32, and of a bf16 model at a rate that bf16 could not represent. A few bf16 gradients round to 0."""
    movement = answers[name]["movement"]
    assert movement["said"] == ""
    assert 0.99 * STEPS * WEIGHTS < movement["pushed"] <= STEPS * WEIGHTS and movement["moved"] > 0.9 * movement["pushed"]
