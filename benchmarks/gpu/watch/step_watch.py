"""A line of JSON for each optimizer step of a transformers Trainer, written to STEP_WATCH: the same count for every library that uses one.

seconds (the device is waited for at both ends), tokens (padding left out), positions (padding included), micro_batches, loss, and on a GPU
the peak memory. STEP_PROFILE=N runs step N under torch's profiler; FILE.profile.json then has the device's time by kind of kernel.
"""

import functools
import json
import os
import re
import time
from collections import defaultdict
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from transformers.trainer_callback import TrainerCallback

CUDA = torch.cuda.is_available()
# The first pattern that is found in a kernel's name decides.
KINDS = (
    ("attention", r"flash|fmha|attention|sdpa|mha"),
    ("dequantise", r"dequantize|kgemm_4bit"),
    ("matmul", r"gemm|gemv|nvjet|cutlass|cublas|wgmma|matmul|xmma"),
    ("optimizer", r"adam|optimizer|multi_tensor|8bit"),
    ("copies", r"memcpy|memset|copy|catarray"),
    ("dropout", r"dropout|philox|bernoulli"),
    ("loss", r"softmax|nll_loss|cross_entropy|logsumexp"),
    ("reductions", r"reduce|norm|sum"),
    ("pointwise", r"elementwise|vectorized|triton|unrolled"),
)


def kind_of(kernel: str) -> str:
    """Name what a kernel computes; `other` where its name does not say."""
    return next((kind for kind, pattern in KINDS if re.search(pattern, kernel, re.IGNORECASE)), "other")


def busy(spans: list[tuple[float, float]]) -> float:
    """Add up the time that at least one span covers."""
    covered, end = 0.0, float("-inf")
    for start, stop in sorted(spans):
        covered += max(stop - max(start, end), 0)
        end = max(end, stop)
    return covered


def now() -> float:
    """Read the clock once the device has done what it was given."""
    if CUDA:
        torch.cuda.synchronize()
    return time.perf_counter()


class Watch(TrainerCallback):
    """Writes what each step took."""

    def __init__(self, out: Path, profiled: int) -> None:
        self.out, self.profiled = out, profiled
        self.batches: list[tuple[Any, int]] = []
        self.began = 0.0
        self.profiler: Any = None

    def write(self, line: dict[str, Any]) -> None:
        with self.out.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        self.batches.clear()
        if CUDA and state.global_step + 1 == self.profiled:
            self.profiler = torch.profiler.profile(activities=[torch.profiler.ProfilerActivity.CUDA])
            self.profiler.__enter__()
        self.began = now()

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        line = {"step": state.global_step, "seconds": round(now() - self.began, 5), "micro_batches": len(self.batches)}
        line |= {"tokens": int(sum(int(tokens) for tokens, _ in self.batches)), "positions": sum(size for _, size in self.batches)}
        if CUDA:
            line["peak_memory"] = torch.cuda.max_memory_reserved()
        if self.profiler:
            self.profiler.__exit__(None, None, None)
            self.out.with_suffix(".profile.json").write_text(json.dumps(_profile(self.profiler) | {"tokens": line["tokens"]}))
            self.profiler, line["profiled"] = None, True
        self.write(line)

    def on_log(self, args: Any, state: Any, control: Any, logs: Any = None, **kwargs: Any) -> None:
        if logs and "loss" in logs:
            self.write({"step": state.global_step, "loss": float(logs["loss"])})


def install(trainer_module: ModuleType) -> None:
    """Have every Trainer of the first process write its steps."""
    if int(os.environ.get("RANK", "0")):
        return
    trainer_class: Any = trainer_module.__dict__["Trainer"]
    watch = Watch(Path(os.environ["STEP_WATCH"]), int(os.environ.get("STEP_PROFILE") or 0))
    init, training_step = trainer_class.__init__, trainer_class.training_step

    @functools.wraps(init)
    def watched_init(self: Any, *args: Any, **kwargs: Any) -> None:
        init(self, *args, **kwargs)
        self.add_callback(watch)

    @functools.wraps(training_step)
    def watched_step(self: Any, model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        watch.batches.append((_tokens(self, inputs), inputs["input_ids"].numel()))
        return training_step(self, model, inputs, *args, **kwargs)

    trainer_class.__init__, trainer_class.training_step = watched_init, watched_step


def _tokens(trainer: Any, inputs: dict[str, Any]) -> Any:
    """How many positions of a batch hold tokens, as a tensor: reading it would wait for the device."""
    ids, mask = inputs["input_ids"], inputs.get("attention_mask")
    if mask is not None and mask.dim() == 2:
        return (mask > 0).sum()
    padding = getattr(getattr(trainer, "processing_class", None), "pad_token_id", None)
    return (ids != padding).sum() if padding is not None else (ids == ids).sum()


def _profile(profiler: Any) -> dict[str, Any]:
    """The device's time by kind of kernel, and how long it was busy, in seconds."""
    kinds: dict[str, float] = defaultdict(float)
    spans = []
    for event in profiler.events():
        if str(event.device_type).endswith("CUDA") and not event.is_user_annotation:  # which spans the kernels within it
            kinds[kind_of(event.name)] += event.time_range.elapsed_us() / 1e6
            spans.append((event.time_range.start, event.time_range.end))
    return {"busy_s": round(busy(spans) / 1e6, 5), "kernels": len(spans), "by_kind_s": {k: round(s, 5) for k, s in kinds.items()}}
