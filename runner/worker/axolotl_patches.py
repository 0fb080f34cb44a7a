"""Corrections to Axolotl and the libraries that it uses: processes for small datasets, copies of the rows, 4-bit layers on a CPU,
16-bit weights that are trained, debug.log, trackio, placeholders of FSDP2."""

import inspect
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch

from ..launch.axolotl_config import ROWS_CACHE
from ..runtime.machine import UNPACKED_SHARE
from .cpu_lora import UnpackedForward

SMALL = 512  # rows of a dataset for which other processes cost more than they save


def load(cfg: Any) -> Any:
    """Return Axolotl's TrainDatasetMeta for its configuration: tokenised, filtered, and saved to `dataset_prepared_path`."""
    from axolotl.common.datasets import load_datasets

    with small_datasets_in_this_process(), rows_cached_in(Path(cfg.dataset_prepared_path) / ROWS_CACHE):
        return load_datasets(cfg=cfg)


@contextmanager
def rows_cached_in(folder: Path) -> Iterator[None]:
    """Let `datasets` copy the rows to this folder, while the block runs.

    By default it copies them to the user's cache, which may be read-only, and leaves them there: every run has files of its own, whose
    copies nothing reads again. The copies are in use as long as the datasets are.

    `datasets` names a lock after the whole path of this folder, and shortens it by its characters, not its bytes: a long path with accents
    or CJK letters gives a name that is too long for a file. Relative to the current folder, the run's, it is short.
    """
    from datasets import config

    before = config.HF_DATASETS_CACHE
    config.HF_DATASETS_CACHE = Path(os.path.relpath(folder))
    try:
        yield
    finally:
        config.HF_DATASETS_CACHE = before


@contextmanager
def small_datasets_in_this_process() -> Iterator[None]:
    """Keep `datasets` from starting processes for few rows, while the block runs.

    `map` and `filter` start a pool and a manager for two rows, and `save_to_disk` starts a new interpreter even for one process, which
    imports Axolotl again: 5 to 10 seconds of CPU time to write 50 rows. Several processes for more rows are unchanged.
    """
    from datasets import Dataset

    map_rows, save_rows = Dataset.map, Dataset.save_to_disk

    def mapped(self: Dataset, *args: Any, num_proc: int | None = None, **options: Any) -> Dataset:
        return map_rows(self, *args, num_proc=num_proc if len(self) >= SMALL else None, **options)

    def save(self: Dataset, *args: Any, num_proc: int | None = None, **options: Any) -> None:
        save_rows(self, *args, num_proc=None if num_proc == 1 else num_proc, **options)

    Dataset.map, Dataset.save_to_disk = mapped, save
    try:
        yield
    finally:
        Dataset.map, Dataset.save_to_disk = map_rows, save_rows


def make_trainable(model: Any, memory: int) -> int:
    """Make every 4-bit layer trainable on a CPU; return how many keep their weight dequantised (none if memory, in bytes, is too small)."""
    layers = [module for module in model.modules() if hasattr(module, "support_avx512bf16_for_cpu")]
    for layer in layers:
        layer.support_avx512bf16_for_cpu = False
    unpacked_bytes = sum(4 * layer.in_features * layer.out_features for layer in layers)
    if unpacked_bytes > UNPACKED_SHARE * memory:
        return 0
    for layer in layers:
        layer.forward = UnpackedForward(layer)
    return len(layers)


def train_in_fp32(model: Any) -> None:
    """Convert every 16-bit weight that is trained to fp32, as peft does with adapters, but not with modules that it trains whole.

    In bf16 the steps of a classification head round to nothing as the learning rate falls; fp16 gradients cannot be unscaled.
    """
    for weight in model.parameters():
        if weight.requires_grad and weight.dtype in (torch.float16, torch.bfloat16):
            weight.data = weight.data.float()


def write_no_debug_log() -> None:
    """Keep Axolotl from copying its output into checkpoints/debug.log, which is unbounded and not redacted."""
    from axolotl.utils import tee

    tee._log_path = os.devnull


def admit_bucket() -> None:
    """Let `trackio.init` accept the callback's bucket_id; raise ValueError for a bucket if trackio does not support them."""
    import trackio

    init = trackio.init
    if "bucket_id" in inspect.signature(init).parameters:
        return

    def init_without_bucket(*arguments: Any, bucket_id: str | None = None, **named: Any) -> Any:
        if bucket_id is not None:
            raise ValueError(f"trackio {trackio.__version__} does not support buckets: cannot write to {bucket_id}")
        return init(*arguments, **named)

    trackio.init = init_without_bucket


def leave_placeholders_untouched() -> None:
    """With cpu_ram_efficient_loading, the first process loads the model and the others get its parts; until then transformers keeps a
    model of zeros in each of them, in main memory. Memory that nothing has been written to takes none."""
    from transformers import PreTrainedModel

    move: Any = PreTrainedModel._move_missing_keys_from_meta_to_device
    if getattr(move, "leaves_placeholders_untouched", False):
        return

    def moved(*args: Any, **kwargs: Any) -> Any:
        zeros_like = torch.zeros_like
        torch.zeros_like = torch.empty_like
        try:
            return move(*args, **kwargs)
        finally:
            torch.zeros_like = zeros_like

    moved.__dict__["leaves_placeholders_untouched"] = True
    PreTrainedModel._move_missing_keys_from_meta_to_device = moved
