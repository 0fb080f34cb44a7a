"""The tokenised data of a recipe inside Axolotl's process, for any record type."""

import json
from pathlib import Path
from typing import Any, NamedTuple

from ...schemas.base.counted import counted, counted_of
from ...schemas.base.hashing import SEAL
from ..launch.axolotl_config import ROWS_CACHE
from ..launch.steps import epoch_steps, keys_beyond
from ..runtime.seals import write_seal

LISTED = 20
LONG_SHOWN = 6  # rows that are too long: usually many, and one setting mends all


class Prepared(NamedTuple):
    """Tokenised splits, their audit (tokens.json), and why the run must not start. Splits are None if Axolotl refused the rows."""

    train: Any
    validation: Any
    report: dict[str, Any]
    faults: list[str]


def split_rows(cfg: Any) -> dict[str, list[dict[str, Any]]]:
    """Return the records of each split that training reads."""
    paths = {"train": cfg.datasets[0]["path"]}
    if cfg.test_datasets:
        paths["validation"] = cfg.test_datasets[0]["path"]
    return {split: [json.loads(line) for line in Path(path).read_bytes().splitlines()] for split, path in paths.items()}


def seal_rows(folder: Path) -> None:
    """Seal the tokenised rows that were written to the folder just now: a training that resumes uses those that are unchanged."""
    for rows in folder.glob("*"):
        if rows.is_dir() and rows.name != ROWS_CACHE and not (rows / SEAL).exists():
            write_seal(rows)


def long_rows_fault(split: str, long: dict[str, int], sequence_len: int) -> str:
    """Name the rows that are too long, with what can be done. `split` may be "", where they are not split yet."""
    listed = ", ".join(f"{row} ({length:,} tokens)" for row, length in list(long.items())[:LONG_SHOWN])
    more = f" and {len(long) - LONG_SHOWN:,} more" if len(long) > LONG_SHOWN else ""
    what = f"{counted(len(long), f'{split} row'.lstrip(), 'are')} longer than training.sequence_len ({sequence_len}): {listed}{more}"
    return f"{what}: increase it to {max(long.values()):,}, shorten the rows, or set training.excess_length_strategy to drop or truncate"


def dropped_faults(report: dict[str, Any], strategy: str, max_dropped: float) -> list[str]:
    """Return a fault if rows dropped for their length exceed the recipe's budget, the share `max_dropped`, like any other drop."""
    return [
        f"dropping {counted_of(len(long), facts['rows'], f'{split} row')} for length is more than data.max_dropped ({max_dropped}) allows"
        for split, facts in report.items()
        if strategy == "drop" and (long := facts.get("long_rows")) and len(long) > max_dropped * facts["rows"]
    ]


def step_faults(cfg: Any, blocks: int) -> list[str]:
    """Return a fault for keys that have no effect in a run with this many blocks, which is only known now."""
    world = int(cfg.world_size or 1)
    steps = cfg.max_steps or epoch_steps(blocks, cfg.micro_batch_size * world, cfg.gradient_accumulation_steps, cfg.num_epochs)
    return [what for _, what in keys_beyond(cfg, steps, counted(blocks, "block"))]
