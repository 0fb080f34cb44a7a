"""Axolotl's own loading of data sets, without a process that costs more than its work."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


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
