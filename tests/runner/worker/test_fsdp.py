"""FSDP2 as the installed Axolotl prepares it, in one process on a CPU: what type it trains, and where gradients are between micro-batches."""

import json
from importlib.util import find_spec

import pytest

PREPARED = """
import json, sys, torch
from types import SimpleNamespace
from accelerate.utils import FullyShardedDataParallelPlugin
from axolotl.monkeypatch.accelerate.fsdp2 import fsdp2_prepare_model
from torch import distributed
from torch.distributed.tensor import DTensor
from transformers import LlamaConfig, LlamaForCausalLM
from recipekit.runner.worker.attention_watch import AttentionWatch
from recipekit.runner.worker.loss import PairHead
distributed.init_process_group("gloo", init_method="file://" + sys.argv[1], rank=0, world_size=1)
config = LlamaConfig(vocab_size=97, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2)
answers = {}
for name in ("bfloat16", "float32"):
    torch.manual_seed(0)
    model = LlamaForCausalLM(config).to(getattr(torch, name)).train()
    model.gradient_checkpointing_enable({"use_reentrant": True})  # Axolotl's default
    head = PairHead(model.get_output_embeddings(), fused=False)  # before it is sharded, as in a training
    plugin = FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy="transformer_based_wrap", reshard_after_forward=True)
    plugin.set_mixed_precision("bf16")
    state = SimpleNamespace(fsdp_plugin=plugin, device_mesh=None)
    accelerator = SimpleNamespace(state=state, mixed_precision="bf16", is_main_process=True, device=torch.device("cpu"))
    model = fsdp2_prepare_model(accelerator, model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-6, weight_decay=0.0)
    labels = torch.tensor([[-100] * 12 + [1, 2, 3, 4]] * 2)
    over_pairs = head.wrap(lambda model, inputs: model(input_ids=inputs["input_ids"]).logits)
    with AttentionWatch() as watch:
        logits = over_pairs(model, {"input_ids": torch.ones(2, 16, dtype=torch.long), "labels": labels})
    before = [weight.full_tensor().clone() for weight in model.parameters()]
    between = {}
    for _ in range(3):
        for micro_batch, sync in enumerate((False, True)):
            ids = torch.randint(0, 97, (2, 16))
            model.set_requires_gradient_sync(sync)
            model(input_ids=ids, labels=ids).loss.backward()
            between[sync] = sorted({str(weight.grad.dtype) if isinstance(weight.grad, DTensor) else "none" for weight in model.parameters()})
        optimizer.step()
        optimizer.zero_grad()
    moved = sum((weight.full_tensor() != old).sum().item() for weight, old in zip(model.parameters(), before))
    answers[name] = {
        "trained": sorted({str(weight.dtype) for weight in model.parameters()}),
        "moved": moved / sum(old.numel() for old in before),
        "without sync": between[False], "with sync": between[True],
        "logits": list(logits.shape), "attention": sum(watch.calls.values()),
    }
print("answers:" + json.dumps(answers))
"""


@pytest.fixture(scope="module")
def prepared(warm, tmp_path_factory):
    if find_spec("axolotl") is None:
        pytest.skip("needs the extra [train]: axolotl")
    done = warm("-c", PREPARED, str(tmp_path_factory.mktemp("fsdp") / "store"))
    assert done.returncode == 0, done.stderr[-3000:]
    return json.loads(done.stdout.rpartition("answers:")[2])


def test_fsdp_trains_the_type_that_was_loaded_and_fp32_weights_move_at_a_low_rate(prepared):
    """The reason for has_fp32_weights: neither Axolotl nor accelerate makes fp32 weights of bf16 ones."""
    assert prepared["bfloat16"]["trained"] == ["torch.bfloat16"] and prepared["bfloat16"]["moved"] < 0.5
    assert prepared["float32"]["trained"] == ["torch.float32"] and prepared["float32"]["moved"] > 0.9


def test_gradients_are_sharded_in_fp32_only_if_every_micro_batch_is_reduced(prepared):
    """The reason for sync_each_batch: until then, every process has the gradients of all weights."""
    assert prepared["float32"]["without sync"] == ["none"]
    assert prepared["float32"]["with sync"] == ["torch.float32"]


def test_the_loss_over_pairs_and_the_watch_of_attention_work_with_a_sharded_model(prepared):
    assert prepared["float32"]["logits"] == [1, 8, 97]
    assert prepared["float32"]["attention"] == 2, "one operation in each layer"


LOADED = """
import json, os, sys
import torch
from transformers import LlamaConfig, LlamaForCausalLM
folder, store = sys.argv[1:3]
config = LlamaConfig(vocab_size=4096, hidden_size=1024, intermediate_size=4096, num_hidden_layers=2, num_attention_heads=4)
LlamaForCausalLM(config).to(torch.bfloat16).save_pretrained(folder)
child = os.fork()
rank = int(child == 0)
os.environ |= {"RANK": str(rank), "LOCAL_RANK": str(rank), "WORLD_SIZE": "2", "ACCELERATE_USE_FSDP": "true", "FSDP_VERSION": "2",
               "FSDP_CPU_RAM_EFFICIENT_LOADING": "true"}
from types import SimpleNamespace
from accelerate.utils import FullyShardedDataParallelPlugin
from axolotl.monkeypatch.accelerate import fsdp2
from torch import distributed
from recipekit.runner.worker.axolotl_patches import leave_placeholders_untouched
torch.set_num_threads(1)
distributed.init_process_group("gloo", init_method="file://" + store, rank=rank, world_size=2)
fsdp2.patch_initialize_missing_keys_for_fsdp()
fsdp2.patch_tied_keys_for_meta_device()
leave_placeholders_untouched()
def resident():
    return next(int(line.split()[1]) << 10 for line in open("/proc/self/status") if line.startswith("RssAnon:"))
before = resident()
model = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32, device_map="meta" if rank else "cpu")
taken = resident() - before
optimizer = torch.optim.AdamW(model.parameters())
plugin = FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy="transformer_based_wrap", reshard_after_forward=True,
                                        cpu_ram_efficient_loading=True)
state = SimpleNamespace(fsdp_plugin=plugin, device_mesh=None)
model = fsdp2.fsdp2_prepare_model(SimpleNamespace(state=state, is_main_process=not rank, device=torch.device("cpu")), model)
with torch.no_grad():
    logits = model(input_ids=torch.arange(16)[None]).logits
answer = {"taken": taken, "logits": logits[0, :, 0].tolist(), "weights": sum(weight.numel() for weight in model.parameters())}
answers = [None, None]
distributed.all_gather_object(answers, answer)
if rank:
    os._exit(0)
os.waitpid(child, 0)
whole = LlamaForCausalLM.from_pretrained(folder, dtype=torch.float32)
with torch.no_grad():
    expected = whole(input_ids=torch.arange(16)[None]).logits[0, :, 0].tolist()
print("answers:" + json.dumps({"ranks": answers, "expected": expected}))
"""


def test_fsdp_loads_a_model_for_full_training_once_and_every_process_computes_with_it(warm, tmp_path):
    """The reason for cpu_ram_efficient_loading, and for leave_placeholders_untouched: transformers fills the others' with zeros."""
    if find_spec("axolotl") is None:
        pytest.skip("needs the extra [train]: axolotl")
    done = warm("-c", LOADED, str(tmp_path / "model"), str(tmp_path / "store"))
    assert done.returncode == 0, done.stderr[-3000:]
    answers = json.loads(done.stdout.rpartition("answers:")[2])
    first, second = answers["ranks"]
    assert first["logits"] == pytest.approx(answers["expected"], abs=1e-4)
    assert second["logits"] == pytest.approx(answers["expected"], abs=1e-4)
    weights = 41_948_160 * 4
    assert first["taken"] > 0.8 * weights and second["taken"] < 0.2 * weights


HEAD = """
import json, sys, torch
from types import SimpleNamespace
from accelerate.utils import FullyShardedDataParallelPlugin
from axolotl.monkeypatch.accelerate.fsdp2 import fsdp2_prepare_model
from peft import LoraConfig, get_peft_model
from torch import distributed
from transformers import LlamaConfig, LlamaForSequenceClassification
from recipekit.runner.worker.axolotl_patches import train_in_fp32
distributed.init_process_group("gloo", init_method="file://" + sys.argv[1], rank=0, world_size=1)
config = LlamaConfig(vocab_size=97, hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2, num_labels=3,
                     pad_token_id=0)
model = LlamaForSequenceClassification(config).to(torch.bfloat16)
model = get_peft_model(model, LoraConfig(r=4, target_modules=["q_proj", "v_proj"], task_type="SEQ_CLS")).train()
train_in_fp32(model)
plugin = FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy="transformer_based_wrap", reshard_after_forward=True)
plugin.set_mixed_precision("bf16")
state = SimpleNamespace(fsdp_plugin=plugin, device_mesh=None)
model = fsdp2_prepare_model(SimpleNamespace(state=state, mixed_precision="bf16", is_main_process=True, device=torch.device("cpu")), model)
trained = {name: weight for name, weight in model.named_parameters() if weight.requires_grad}
optimizer = torch.optim.AdamW(trained.values(), lr=1e-6, weight_decay=0.0)
before = {name: weight.full_tensor().clone() for name, weight in trained.items()}
for _ in range(3):
    ids = torch.randint(1, 97, (2, 16))
    model(input_ids=ids, labels=torch.tensor([0, 2])).loss.backward()
    optimizer.step()
    optimizer.zero_grad()
head = next(name for name in trained if "score" in name)
print("answers:" + json.dumps({
    "types": sorted({str(weight.dtype) for weight in trained.values()}), "adapters": sum("lora_" in name for name in trained),
    "moved": (trained[head].full_tensor() != before[head]).float().mean().item(),
}))
"""


def test_a_head_next_to_an_adapter_is_trained_in_fp32_when_it_is_sharded_too(warm, tmp_path):
    """In bf16 most of its weights would not move at this rate; FSDP2 trains the type that it is given."""
    if find_spec("axolotl") is None:
        pytest.skip("needs the extra [train]: axolotl")
    done = warm("-c", HEAD, str(tmp_path / "store"))
    assert done.returncode == 0, done.stderr[-3000:]
    answers = json.loads(done.stdout.rpartition("answers:")[2])
    assert answers["types"] == ["torch.float32"] and answers["adapters"] == 8
    assert answers["moved"] > 0.9
