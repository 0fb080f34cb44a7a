"""Full training with sharded weights in two processes: rows without padding train what padded rows train, under FSDP2 and ZeRO 1 to 3."""

import json
import math
import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from ...support.waiting import PATIENCE

pytestmark = [
    pytest.mark.train,
    pytest.mark.skipif(
        find_spec("deepspeed") is None or find_spec("axolotl") is None, reason="needs the extra [train]: axolotl, deepspeed"
    ),
]
SHARDINGS = ("fsdp", "stage 1", "stage 2", "stage 3")


@pytest.fixture(scope="module")
def answers(tmp_path_factory):
    """By sharding: losses and last weights of four trainings over the same rows, and what attention saw."""
    out = tmp_path_factory.mktemp("sharded") / "answers.json"
    env = {**os.environ, "DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    torchrun = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2"]
    argv = [*torchrun, "-m", "tests.support.sharded_rows", out]
    root = Path(__file__).parents[3]
    done = subprocess.run(argv, env=env, cwd=root, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    return json.loads(out.read_text())


@pytest.mark.parametrize("sharding", SHARDINGS)
def test_two_processes_train_the_same_without_padding(answers, sharding):
    found = answers[sharding]
    padded, flat = found["padded"], found["flat"]
    assert flat["losses"] == pytest.approx(padded["losses"], rel=1e-5)
    assert padded["losses"][-1] < padded["losses"][0] - 0.5, "the steps learn, or equal losses would show nothing"
    assert flat["weights"] == pytest.approx(padded["weights"], abs=1e-5) and found["rows"] > 1


@pytest.mark.parametrize("sharding", SHARDINGS)
def test_a_kernel_that_takes_16_bits_only_gets_them_and_moves_the_weights_less_than_bf16_itself(answers, sharding):
    found = answers[sharding]
    exact, plain, flat = (found[name]["weights"] for name in ("padded", "padded, bf16", "flat, bf16"))
    assert found["types"] == ["torch.bfloat16"]
    assert math.dist(flat, plain) < math.dist(exact, plain)
    assert found["flat, bf16"]["losses"] == pytest.approx(found["padded, bf16"]["losses"], rel=1e-3)
