"""The loss of several processes: a token has the same weight in each, however many its process trains. Two real ones under gloo."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec
from types import SimpleNamespace

import pytest

pytestmark = pytest.mark.skipif(find_spec("transformers") is None, reason="needs the extra [train]: transformers")
# One optimizer step of plain SGD over four rows, which train 1, 2, 12 and 7 tokens.
STEP = """
import json, os, sys
from types import SimpleNamespace
import torch
from datasets import Dataset
from torch import distributed
from transformers import AutoModelForCausalLM, Trainer, TrainingArguments, set_seed
from recipekit.runner.worker.loss import set_up_trainer, sum_validation_tokens
processes, folder = int(os.environ.get("WORLD_SIZE", "1")), sys.argv[2]
rows = []
for number, (tokens, trained) in enumerate([(9, 1), (31, 2), (17, 12), (23, 7)]):
    ids = [5 + (7 * number + 3 * place) % 190 for place in range(tokens)]
    rows.append({"input_ids": ids, "attention_mask": [1] * tokens, "labels": [-100] * (tokens - trained) + ids[-trained:]})
def padded(rows):
    longest, fill = max(len(row["labels"]) for row in rows), {"input_ids": 0, "attention_mask": 0, "labels": -100}
    return {key: torch.tensor([row[key] + [value] * (longest - len(row[key])) for row in rows]) for key, value in fill.items()}
set_seed(0)
model = AutoModelForCausalLM.from_pretrained(sys.argv[1])
args = TrainingArguments(folder, per_device_train_batch_size=1, gradient_accumulation_steps=4 // processes, max_steps=1,
    learning_rate=0.1, per_device_eval_batch_size=1, lr_scheduler_type="constant", optim="sgd", max_grad_norm=0, logging_steps=1,
    report_to=[], save_strategy="no", use_cpu=True,
    ddp_backend="gloo" if processes > 1 else None, average_tokens_across_devices=False)  # as Axolotl
trainer = Trainer(model, args, padded, train_dataset=Dataset.from_list(rows), eval_dataset=Dataset.from_list(rows[:2]))
set_up_trainer(SimpleNamespace(context_parallel_size=None, deepspeed=None, fsdp_config=None), trainer)
before = trainer.evaluate()["eval_loss"]
sum_validation_tokens(trainer)
over_tokens = []
for trainer.args.per_device_eval_batch_size in (1, 2, 4):  # of two processes, 1, 1 and 5 places have no row of their own
    over_tokens.append(trainer.evaluate(Dataset.from_list(rows[:3]))["eval_loss"])
trainer.train()
if trainer.is_world_process_zero():
    weights = {name: weight.flatten()[:64].tolist() for name, weight in model.named_parameters()}
    loss = next(line["loss"] for line in trainer.state.log_history if "loss" in line)
    found = {"loss": loss, "validation": before, "over tokens": over_tokens, "weights": weights}
    json.dump(found, open(f"{folder}/result.json", "w"))
if processes > 1:
    distributed.barrier()
    os._exit(0)  # the result is written: gloo's threads, ended by destructors, have aborted a process here
"""


def step_of(processes, model, folder):
    """The loss and the weights after one step of so many processes."""
    folder.mkdir()
    script = folder / "step.py"
    script.write_text(STEP)
    launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc_per_node", str(processes)) if processes > 1 else ()
    env = {**os.environ, "CUDA_VISIBLE_DEVICES": "", "ACCELERATE_USE_CPU": "true", "OMP_NUM_THREADS": "1"}
    argv = [sys.executable, "-W", "ignore", *launcher, script, model, folder]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=300, check=False, env=env)
    assert done.returncode == 0, done.stderr
    return json.loads((folder / "result.json").read_text())


@pytest.fixture(scope="module")
def steps(tiny_model, tmp_path_factory):
    folder = tmp_path_factory.mktemp("steps")
    return [step_of(processes, tiny_model, folder / str(processes)) for processes in (1, 2)]


def test_a_token_of_a_process_that_trains_few_counts_as_much_as_one_of_a_process_that_trains_many(steps):
    one, two = steps
    assert two["loss"] == pytest.approx(one["loss"], rel=1e-5)
    assert two["validation"] == pytest.approx(one["validation"], rel=1e-5), "validation rows are still averaged row by row"
    for name, weights in one["weights"].items():
        assert two["weights"][name] == pytest.approx(weights, rel=1e-5, abs=1e-7), name


def test_a_validation_row_counts_once_although_it_fills_the_last_batches_of_several_processes(steps):
    one, two = steps
    assert one["over tokens"] == pytest.approx([one["over tokens"][0]] * 3, rel=1e-5)
    assert two["over tokens"] == pytest.approx(one["over tokens"], rel=1e-5)


@pytest.mark.parametrize(("remainder", "process", "kept"), [(3, 0, 2), (3, 1, 1), (0, 0, 2), (-1, 1, 2), (2, 1, 0)])
def test_a_validation_row_that_fills_up_the_last_batches_is_not_counted_again(remainder, process, kept):
    """Two processes with two rows each: of the last four rows `remainder` are new; 0 and -1 say that none is repeated."""
    import torch
    from recipekit.runner.worker.labels import IGNORED
    from recipekit.runner.worker.loss import without_repeated_rows

    state = SimpleNamespace(end_of_dataloader=True, remainder=remainder)
    args = SimpleNamespace(world_size=2, process_index=process, per_device_eval_batch_size=2)
    trainer, labels = SimpleNamespace(accelerator=SimpleNamespace(gradient_state=state), args=args), torch.ones(2, 3, dtype=torch.long)
    found = without_repeated_rows(trainer, labels)
    assert [row.tolist() for row in found] == [[1, 1, 1]] * kept + [[IGNORED] * 3] * (2 - kept)
    state.end_of_dataloader = False
    assert torch.equal(without_repeated_rows(trainer, labels), labels)
