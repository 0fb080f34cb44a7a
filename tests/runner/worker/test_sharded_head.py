"""The head of a new classifier under ZeRO 3: DeepSpeed itself shards a tiny model, by one process on a CPU."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest

pytestmark = [
    pytest.mark.train,
    pytest.mark.long,
    pytest.mark.skipif(find_spec("deepspeed") is None, reason="needs the extra [train]: deepspeed"),
]
HEADS = """
import json, deepspeed, torch
from types import SimpleNamespace
from transformers import LlamaConfig, LlamaForSequenceClassification
from recipekit.runner.worker.classification import prepare_head
deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # minutes of compiling, for messages that gloo carries as well
deepspeed.init_distributed("gloo")
config = LlamaConfig(vocab_size=97, hidden_size=16, intermediate_size=32, num_hidden_layers=1, num_attention_heads=2, num_labels=3)
cfg, zero = SimpleNamespace(labels=["a", "b", "c"], seed=7), {"train_batch_size": 1, "zero_optimization": {"stage": 3}}
heads = {}
for name in ("whole", "sharded"):
    with deepspeed.zero.Init(enabled=name == "sharded", config_dict_or_path=zero, dtype=torch.bfloat16):
        model = LlamaForSequenceClassification(config)
    seen = model.score.weight.numel()
    prepare_head(cfg, model)
    with deepspeed.zero.GatheredParameters([model.score.weight], enabled=name == "sharded"):
        heads[name] = [seen, model.score.weight.flatten().tolist()]
print("heads:" + json.dumps(heads))
torch.distributed.destroy_process_group()
"""


def test_a_sharded_head_gets_the_same_initial_weights(tmp_path):
    """Its process sees an empty weight, into which nothing can be drawn."""
    (tmp_path / "heads.py").write_text(HEADS)
    env = {**os.environ, "DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": "", "OMP_NUM_THREADS": "1"}
    argv = [sys.executable, "-W", "ignore", "-m", "torch.distributed.run", "--standalone", "--nproc_per_node", "1", tmp_path / "heads.py"]
    done = subprocess.run(argv, env=env, capture_output=True, text=True, timeout=400, check=False)
    assert done.returncode == 0, done.stderr[-5000:]
    heads = json.loads(done.stdout.partition("heads:")[2].splitlines()[0])
    assert (heads["whole"][0], heads["sharded"][0]) == (48, 0)
    assert heads["sharded"][1] == pytest.approx(heads["whole"][1], rel=2**-8), "DeepSpeed keeps them in bf16"
    assert len({*heads["whole"][1]}) == 48
