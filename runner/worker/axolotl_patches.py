"""Axolotl's own loading of data sets, without a process that costs more than its work."""

import inspect
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch

from ..runtime.machine import UNPACKED_SHARE


def load(cfg: Any) -> Any:
    """Axolotl's TrainDatasetMeta for its configuration: tokenised, filtered, saved to `dataset_prepared_path` where there is one."""
    from axolotl.common.datasets import load_datasets

    with saving_in_this_process():
        return load_datasets(cfg=cfg)


@contextmanager
def saving_in_this_process() -> Iterator[None]:
    """While the block runs, `Dataset.save_to_disk` with one process starts none.

    `datasets` starts a fresh interpreter even for one, which imports Axolotl again: 5 to 10 seconds of CPU time to write 50 rows. Several
    processes, which Axolotl asks for from 512 rows on, are left alone.
    """
    from datasets import Dataset

    original = Dataset.save_to_disk

    def save(self: Dataset, *args: Any, num_proc: int | None = None, **options: Any) -> None:
        original(self, *args, num_proc=None if num_proc == 1 else num_proc, **options)

    Dataset.save_to_disk = save
    try:
        yield
    finally:
        Dataset.save_to_disk = original


def make_trainable(model: Any, memory: int) -> int:
    """Mend every 4-bit layer of the model; return how many keep their weight unpacked (none where memory, in bytes, is too small)."""
    layers = [module for module in model.modules() if hasattr(module, "support_avx512bf16_for_cpu")]
    for layer in layers:
        layer.support_avx512bf16_for_cpu = False
    unpacked_bytes = sum(4 * layer.in_features * layer.out_features for layer in layers)
    if unpacked_bytes > UNPACKED_SHARE * memory:
        return 0
    for layer in layers:
        layer.forward = _unpacked_forward(layer)
    return len(layers)


def _unpacked_forward(layer: Any) -> Callable[[torch.Tensor], torch.Tensor]:
    unpacked: list[torch.Tensor] = []

    def forward(x: torch.Tensor) -> torch.Tensor:
        if not unpacked:
            from bitsandbytes.functional import dequantize_4bit

            with torch.inference_mode(False), torch.no_grad():  # else an evaluation's cache could not be trained with
                unpacked.append(dequantize_4bit(layer.weight.data, layer.weight.quant_state).to(layer.compute_dtype or x.dtype))
        weight = unpacked[0]
        return torch.nn.functional.linear(x.to(weight.dtype), weight, layer.bias).to(x.dtype)

    return forward


def write_no_debug_log() -> None:
    """Keep Axolotl from copying what it prints into checkpoints/debug.log, which nothing bounds and nothing cleans of secrets."""
    from axolotl.utils import tee

    tee._log_path = os.devnull


def admit_bucket() -> None:
    """Let `trackio.init` be called with the callback's bucket_id; one that names a bucket is refused where trackio has no buckets."""
    import trackio

    init = trackio.init
    if "bucket_id" in inspect.signature(init).parameters:
        return

    def init_without_bucket(*arguments: Any, bucket_id: str | None = None, **named: Any) -> Any:
        if bucket_id is not None:
            raise ValueError(f"trackio {trackio.__version__} has no buckets: {bucket_id} cannot be written to")
        return init(*arguments, **named)

    trackio.init = init_without_bucket
