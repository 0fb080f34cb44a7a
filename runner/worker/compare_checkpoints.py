"""Compare the training states of two checkpoints bit by bit, and find their first difference."""

from pathlib import Path
from typing import Any

CLOCK = ("tokens_per_s", "eval_runtime")  # logged values that depend on the clock
PARTS = {"weights": "*.safetensors", "optimizer": "optimizer*.pt", "schedule": "scheduler.pt", "random numbers": "rng_state*.pth"}


def differences(one: Path, other: Path) -> dict[str, str]:
    """Return the first difference of each part of two checkpoint folders, in words; "" if all bits are equal."""
    return {part: difference(one, other, part) for part in PARTS}


def difference(one: Path, other: Path, part: str) -> str:
    """Return the first difference of one of the PARTS of two folders."""
    return _of_files(one, other, PARTS[part])


def first_other_line(one: list[dict[str, Any]], other: list[dict[str, Any]], tolerance: float = 0) -> str:
    """Return the first difference between two logs of a training; losses only count if they differ by more than `tolerance` (relative).

    With a tolerance, other values that follow from the weights (`grad_norm`) are not compared.
    """
    for mine, its in zip(one, other, strict=False):
        if keys := [key for key in {**mine, **its} if not _agree(key, mine.get(key), its.get(key), tolerance)]:
            return f"step {mine['step']}: {keys[0]} is {mine.get(keys[0])} and {its.get(keys[0])}"
    return "" if len(one) == len(other) else f"{len(one)} lines and {len(other)}"


def _agree(key: str, mine: Any, its: Any, tolerance: float) -> bool:
    if mine == its or not tolerance or key in ("step", "epoch", "learning_rate"):
        return mine == its
    numbers = isinstance(mine, float | int) and isinstance(its, float | int)
    return numbers and (not key.endswith("loss") or abs(mine - its) <= tolerance * max(abs(mine), abs(its)))


def _of_files(one: Path, other: Path, pattern: str) -> str:
    names = [sorted(path.name for path in folder.glob(pattern)) for folder in (one, other)]
    if names[0] != names[1]:
        return f"the files are {', '.join(names[0]) or 'none'} and {', '.join(names[1]) or 'none'}"
    if not names[0]:
        return f"there is no {pattern}"
    for name in names[0]:
        if (one / name).read_bytes() != (other / name).read_bytes() and (found := _inside(_read(one / name), _read(other / name), "")):
            return f"{name}{found}"
    return ""


def _read(path: Path) -> Any:
    if path.suffix == ".safetensors":
        from safetensors.torch import load_file

        return load_file(path)
    import torch
    from transformers.trainer_pt_utils import safe_globals

    with safe_globals():
        return torch.load(path, weights_only=True, map_location="cpu")


def _inside(one: Any, other: Any, place: str) -> str:
    """Return where two values made of dicts, lists, tensors and plain values first differ; NaN equals itself."""
    import numpy as np
    import torch

    if type(one) is not type(other):
        return f"{place} is {type(one).__name__} and {type(other).__name__}"
    if isinstance(one, torch.Tensor):
        one, other = one.detach().cpu().contiguous(), other.detach().cpu().contiguous()
        if one.shape != other.shape or one.dtype != other.dtype:
            return f"{place} is {one.dtype} of {tuple(one.shape)} and {other.dtype} of {tuple(other.shape)}"
        same = one.flatten().view(torch.uint8) == other.flatten().view(torch.uint8) if one.numel() else torch.ones(1)
        index = int(same.int().argmin()) // one.element_size()
        return "" if same.all() else f"{place}[{index}] is {one.flatten()[index].item()!r} and {other.flatten()[index].item()!r}"
    if isinstance(one, np.ndarray):
        return "" if np.array_equal(one, other) else f"{place} is a different array"
    if isinstance(one, dict):
        if list(one) != list(other):
            return f"{place} has the keys {list(one)} and {list(other)}"
        return next((found for key in one if (found := _inside(one[key], other[key], f"{place}[{key}]"))), "")
    if isinstance(one, list | tuple):
        if len(one) != len(other):
            return f"{place} has {len(one)} entries and {len(other)}"
        return next(
            (found for index, pair in enumerate(zip(one, other, strict=True)) if (found := _inside(*pair, f"{place}[{index}]"))), ""
        )
    return "" if one == other or one != one and other != other else f"{place} is {one!r} and {other!r}"
