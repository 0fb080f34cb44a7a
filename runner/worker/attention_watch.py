"""Which attention kernel really runs: torch's operations are observed during the first batch, whoever patched what.

Axolotl's varlen attention falls back to a mask in each layer, without a message, if a query has another type or there is a mask already.
"""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch.utils._python_dispatch import TorchDispatchMode

from ...schemas.base.counted import counted
from ..runtime.run_files import KERNELS
from ..runtime.run_folder import RunFolder

VARLEN = "torch_attn::_varlen_attn"
PART = "attention, first batch"
_ATTENTION = ("scaled_dot_product", "_varlen_attn", "flash_attn", "flash_attention", "_efficient_attention")


class AttentionWatch(TorchDispatchMode):
    """Counts the attention operations while it is active: `calls` by name, with `(mask)` behind it if one is given."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None) -> Any:
        """Count an operation, and run it."""
        given = kwargs or {}
        if any(word in func.name() for word in _ATTENTION):
            self.calls[func.name().partition(".")[0] + (" (mask)" if _has_mask(func, args, given) else "")] += 1
        return func(*args, **given)


def _has_mask(func: Any, args: tuple[Any, ...], given: dict[str, Any]) -> bool:
    names = [argument.name for argument in func._schema.arguments]
    values = dict(zip(names, args, strict=False)) | given
    return any(isinstance(values.get(name), torch.Tensor) for name in ("attn_mask", "attn_bias"))


def watch_first_batch(cfg: Any, trainer: Any, refuse: Callable[[str], None]) -> None:
    """Observe the trainer's first batch: add what ran to kernels.json, and refuse a training without the kernel that was rendered.

    With `sdpa_varlen`, it is the first batch with several rows in a sequence: a single row needs no varlen kernel.
    """
    if cfg.torch_compile or cfg.attn_implementation == "flex_attention":  # under a dispatch mode nothing is compiled, which flex needs
        return
    compute = trainer.compute_loss

    def watched(model: Any, inputs: dict[str, Any], *args: Any, **kwargs: Any) -> Any:
        if cfg.sdpa_varlen and not has_several_rows(inputs):
            return compute(model, inputs, *args, **kwargs)
        trainer.compute_loss = compute
        with AttentionWatch() as seen:
            loss = compute(model, inputs, *args, **kwargs)
        record(seen.calls, trainer.is_world_process_zero())
        if torch.cuda.is_available() and cfg.sdpa_varlen and (why := without_varlen(seen.calls)):
            key = "kernels: off" if cfg.flatten_batches else "sample_packing: false"
            refuse(f"sdpa_varlen: rendered, but {why}; set training.{key}, or axolotl.sdpa_varlen: false")
        return loss

    trainer.compute_loss = watched


def has_several_rows(inputs: dict[str, Any]) -> bool:
    """Return whether a sequence of the batch has several rows: their positions begin at 0."""
    positions = inputs.get("position_ids")
    return positions is not None and bool(((positions == 0).sum(-1) > 1).any())


def without_varlen(calls: Counter[str]) -> str:
    """Return why not every layer used torch's varlen kernel, in words; "" if all did."""
    others = {name: count for name, count in calls.items() if name != VARLEN}
    if others:
        return f"attention ran {in_words(Counter(others))}"
    return "" if calls[VARLEN] else "no attention operation of torch's was seen"


def in_words(calls: Counter[str]) -> str:
    """Format as `torch_attn::_varlen_attn in 28 layers`."""
    return ", ".join(f"{name} in {counted(count, 'layer')}" for name, count in calls.items()) or "no operation of torch's"


def record(calls: Counter[str], is_first: bool) -> None:
    """Add what ran to kernels.json, which the stage has written on a GPU."""
    run = RunFolder(Path())
    if is_first and (found := run.find(KERNELS)):
        others = [kernel for kernel in found["kernels"] if kernel["part"] != PART]
        seen = {"part": PART, "used": in_words(calls), "why": "observed in this training", "problem": False}
        run.write(KERNELS, {"kernels": [*others, seen]})
