"""What several processes agree on: tried with two real ones under gloo."""

import subprocess
import sys
from importlib.util import find_spec

import pytest

from ...support.waiting import PATIENCE

pytestmark = pytest.mark.skipif(find_spec("torch") is None, reason="needs the extra [train]: torch")
TWO = """
import os, sys, time, torch
from pathlib import Path
from recipekit.runner.worker.distributed import is_first, all_reduce_sum, barrier, world_size
torch.distributed.init_process_group("gloo")
rank, folder = torch.distributed.get_rank(), Path(sys.argv[1])
if rank == 1:
    time.sleep(0.5)
    (folder / "slow").touch()
barrier()
(folder / f"result-{rank}").write_text(f"{is_first()} {world_size()} {all_reduce_sum(rank + 0.5, torch.device('cpu'))} {(folder / 'slow').exists()}")
torch.distributed.destroy_process_group()  # as Axolotl does: gloo's threads may not outlive it
"""
ONE = """
import torch
from recipekit.runner.worker.distributed import is_first, all_reduce_sum, barrier, world_size
barrier()
print(is_first(), world_size(), all_reduce_sum(True, torch.device("cpu")))
"""
NAMED = """
import io, torch
from recipekit.runner.worker.distributed import accept_numbered_cpu_tags
saved = io.BytesIO()
torch.save(torch.arange(3.0), saved)
def load():
    saved.seek(0)
    return torch.load(saved, map_location=torch.device("cpu:1"), weights_only=True).tolist()
try:
    load()
except RuntimeError as error:
    print("know" in str(error))
accept_numbered_cpu_tags()
print(load())
"""


def test_two_processes_agree_and_wait_for_each_other(tmp_path):
    script = tmp_path / "two.py"
    script.write_text(TWO)
    argv = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "2", script, tmp_path]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.returncode == 0, done.stderr
    assert [(tmp_path / f"result-{rank}").read_text() for rank in (0, 1)] == ["True 2 2.0 True", "False 2 2.0 True"]


def test_single_process_defaults():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", ONE], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.stdout.split() == ["True", "1", "True"], done.stderr


def test_checkpoints_load_on_a_numbered_cpu():
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", NAMED], capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert done.stdout.split("\n")[:2] == ["True", "[0.0, 1.0, 2.0]"], done.stderr
