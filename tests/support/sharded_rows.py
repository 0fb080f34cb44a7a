"""Full training with sharded weights, with padding and without, in every process of torchrun: python -m tests.support.sharded_rows OUT"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import deepspeed
import deepspeed.comm as comm
import torch
from recipekit.runner.launch.deepspeed import render_deepspeed
from recipekit.runner.runtime.machine import Machine
from recipekit.runner.worker.distributed import all_reduce_sum
from recipekit.runner.worker.loss import PairHead, head_of
from recipekit.schemas.sections import Launch
from torch import distributed
from transformers import LlamaConfig, LlamaForCausalLM

from .flat_rows import BY_LENGTHS, FLAT, SIZES, attention_by_lengths, padded, rows, trained_tokens

STEPS, MICRO, ACCUMULATION, PROCESSES, RATE = 4, 3, 2, 2, 1e-2
OF_STEP = MICRO * ACCUMULATION * PROCESSES
SHARDINGS = {"fsdp": 0, "stage 1": 1, "stage 2": 2, "stage 3": 3}


class Training(NamedTuple):
    """A sharded model, its backward pass, its step (is it the step's last micro-batch?), and how all of its weights are read at the end."""

    model: Any
    backward: Callable[[torch.Tensor], Any]
    step: Callable[[bool], None]
    weights: Callable[[], list[torch.Tensor]]


def under_fsdp(model: Any, bf16: bool) -> Training:
    """As Axolotl prepares it: fp32 weights, gathered in bf16."""
    from accelerate.utils import FullyShardedDataParallelPlugin
    from axolotl.monkeypatch.accelerate.fsdp2 import fsdp2_prepare_model

    plugin = FullyShardedDataParallelPlugin(fsdp_version=2, auto_wrap_policy="transformer_based_wrap", reshard_after_forward=True)
    if bf16:
        plugin.set_mixed_precision("bf16")
    state, first = SimpleNamespace(fsdp_plugin=plugin, device_mesh=None), distributed.get_rank() == 0
    of = {"mixed_precision": "bf16" if bf16 else "no", "is_main_process": first, "device": torch.device("cpu")}
    model = fsdp2_prepare_model(SimpleNamespace(state=state, **of), model)
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)

    def step(is_last: bool) -> None:
        if is_last:
            optimizer.step()
            optimizer.zero_grad()

    return Training(model, lambda loss: loss.backward(), step, lambda: [weight.full_tensor() for weight in model.parameters()])


def under_deepspeed(model: Any, stage: int, bf16: bool) -> Training:
    """With the rendered file: a bf16 model, and fp32 copies that DeepSpeed steps."""
    config: dict[str, Any] = render_deepspeed(Launch("deepspeed", PROCESSES, zero_stage=stage), Machine()) or {}
    config |= {"train_micro_batch_size_per_gpu": MICRO, "gradient_accumulation_steps": ACCUMULATION, "gradient_clipping": 0.0,
               "train_batch_size": OF_STEP, "bf16": {"enabled": bf16}, "fp16": {"enabled": False}}  # fmt: skip
    config["zero_optimization"] |= {key: 1_000_000 for key, value in config["zero_optimization"].items() if value == "auto"}
    if bf16:
        model.bfloat16()
    optimizer = torch.optim.AdamW(model.parameters(), lr=RATE, weight_decay=0.0)
    engine, *_ = deepspeed.initialize(model=model, optimizer=optimizer, config=config)

    @torch.no_grad()  # gloo gathers into views, which autograd forbids
    def step(is_last: bool) -> None:
        engine.step()

    def weights() -> list[torch.Tensor]:
        with deepspeed.zero.GatheredParameters(list(model.parameters()), enabled=stage == 3):
            found = [weight.detach().float().clone() for weight in model.parameters()]
        engine.destroy()
        return found

    return Training(engine, lambda loss: engine.backward(loss * ACCUMULATION), step, weights)  # it divides by their number itself


def trained(stage: int, flat: bool, bf16: bool) -> dict[str, Any]:
    """Train the same rows; return the loss of each step and the last weights."""
    torch.manual_seed(0)
    model: Any = LlamaForCausalLM._from_config(LlamaConfig(**SIZES), attn_implementation=BY_LENGTHS if flat else "sdpa").train()
    head, data, losses = PairHead(head_of(model), fused=False), rows(STEPS * OF_STEP), []
    training = under_deepspeed(model, stage, bf16) if stage else under_fsdp(model, bf16)
    loss_of = head.wrap(
        lambda model, batch, count: head.loss(model(**{k: v for k, v in batch.items() if k != "labels"}), batch["labels"], count)
    )
    for first in range(0, len(data), OF_STEP):
        of_step, total = data[first : first + OF_STEP], 0.0
        for part in range(ACCUMULATION):
            start = (part * PROCESSES + distributed.get_rank()) * MICRO
            batch = (FLAT if flat else padded)(of_step[start : start + MICRO])
            with torch.autocast("cpu", torch.bfloat16, enabled=bf16 and not stage):  # accelerate's, which leaves DeepSpeed's models alone
                loss = loss_of(training.model, batch, trained_tokens(of_step) / PROCESSES)
            total += loss.item()
            training.backward(loss)
            training.step(part == ACCUMULATION - 1)
        losses.append(all_reduce_sum(total, torch.device("cpu")) / PROCESSES)
    return {"losses": losses, "weights": [number for weight in training.weights() for number in weight.flatten().tolist()]}


def finished(gather: Callable[..., Any]) -> Callable[..., Any]:
    """Of several gathers DeepSpeed waits for the last, which NCCL's order makes enough and gloo's does not."""

    def gather_and_wait(*arguments: Any, **named: Any) -> Any:
        handle = gather(*arguments, **named)
        if handle is not None:
            handle.wait()
        return handle

    return gather_and_wait


if __name__ == "__main__":
    torch.set_num_threads(1)
    deepspeed.ops.__compatible_ops__["deepspeed_shm_comm"] = False  # minutes of compiling, for messages that gloo carries as well
    for name in ("all_gather", "all_gather_into_tensor"):
        setattr(comm, name, finished(getattr(comm, name)))
    deepspeed.init_distributed("gloo")
    answers: dict[str, Any] = {}
    with attention_by_lengths() as seen:
        for name, stage in SHARDINGS.items():
            found = {
                "padded": trained(stage, False, False),
                "flat": trained(stage, True, False),
                "padded, bf16": trained(stage, False, True),
            }
            seen.types.clear()
            found["flat, bf16"] = trained(stage, True, True)
            answers[name] = found | {"types": sorted(map(str, seen.types)), "rows": max(seen.rows)}
    if distributed.get_rank() == 0:
        Path(sys.argv[1]).write_text(json.dumps(answers), encoding="utf-8")
    distributed.barrier()  # a process that leaves while the other still waits for it makes gloo abort the other
    distributed.destroy_process_group()
