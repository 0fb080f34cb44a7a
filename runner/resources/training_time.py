"""Predict how long a training takes, from the rates of earlier runs on this machine or from a probe, and measure it when it ends.

A rate is tokens (without padding) per second, including evaluations and checkpoints during training, but not loading; that of a probe has
none. Without a rate for the same method on this machine, nothing is predicted.
"""

from collections.abc import Mapping
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple

import orjson

from ...schemas.base.counted import counted
from ...schemas.base.errors import UserError
from ...schemas.batch import batch_of
from ...schemas.sections import Recipe
from ..launch.kernel_choice import choose
from ..launch.precision import precision
from ..launch.steps import epoch_steps
from ..models.architecture import architecture_of
from ..runtime.find_run import all_runs
from ..runtime.machine import Machine
from ..runtime.run_files import TIMING, PredictedTime, Timing

NEWEST = 5  # earlier runs of a method whose median is its rate
LISTED = 10  # past predictions whose errors are shown


class Rate(NamedTuple):
    """The speed of one or several trainings; `tokens_per_byte` refers to the records in data/train.jsonl."""

    tokens_per_s: float
    tokens_per_byte: float
    source: str


class Prediction(NamedTuple):
    """The tokens of a whole training, without padding, and the seconds from its first step to its end, if it is not stopped early."""

    tokens: int
    seconds: float
    source: str


def method(recipe: Recipe, machine: Machine) -> dict[str, Any]:
    """Return everything that must be equal for trainings to have comparable rates."""
    training, launch = recipe.training, recipe.launch
    used = min(machine.gpus, launch.num_processes)
    # Those in use, which change where liger-kernel or a compiler is installed later, or the model's configuration was not there yet.
    on_gpu = {} if machine.is_cpu else {"used_kernels": choose(recipe, machine, architecture_of(recipe.model)).keys(recipe)}
    return on_gpu | {
        "machine": f"{used} x {machine.gpu_name}" if not machine.is_cpu else counted(machine.cores, "CPU core"),
        "model": recipe.model.base_model,
        "type": recipe.data.type,
        "adapter": training.adapter,
        "lora_r": training.lora_r,
        "lora_target_modules": training.lora_target_modules,
        "precision": precision(training, machine),
        "gradient_checkpointing": training.gradient_checkpointing,
        "micro_batch_size": batch_of(recipe).micro_batch_size,
        "packed_to": training.sequence_len if training.sample_packing else None,
        "attention": recipe.model.attn_implementation,
        "kernels": training.kernels,
        "lora_dropout": bool(training.lora_dropout),  # the kernels of LoRA layers need a training without
        "weight_bits": training.weight_bits,
        "optimizer": training.optimizer,
        "offloaded": [launch.offload_optimizer, launch.offload_params],
        "deterministic": training.deterministic,
        "processes": launch.processes,
        "sharding": launch.zero_stage or ("fsdp" if launch.fsdp else None),
        "axolotl": recipe.axolotl,
    }


def predict(recipe: Recipe, rows: int, data_bytes: int, rate: Rate) -> Prediction:
    """Predict a training over `rows` records of `data_bytes` bytes from a rate."""
    in_epoch = data_bytes * rate.tokens_per_byte
    tokens = round(in_epoch * _epochs(recipe, rows, in_epoch))
    return Prediction(tokens, tokens / rate.tokens_per_s, rate.source)


def _epochs(recipe: Recipe, rows: int, tokens_in_epoch: float) -> float:
    """Return how often every record is seen. With packing, the blocks of an epoch depend on its tokens."""
    training, batch = recipe.training, batch_of(recipe)
    if not training.max_steps:
        return training.num_epochs
    packed = training.sample_packing or recipe.data.type == "text"
    units = max(round(tokens_in_epoch / training.sequence_len), 1) if packed else rows
    return training.max_steps / epoch_steps(units, batch.micro_batch_size * batch.processes, batch.gradient_accumulation_steps, 1)


def timing(
    recipe: Recipe, machine: Machine, data_bytes: int, tokens_in_epoch: int, ended: dict[str, Any], predicted: Prediction | None
) -> Timing:
    """Return the content of timing.json. `ended` is the trainer's last event: steps, tokens and seconds of this process."""
    return {
        "method": method(recipe, machine),
        "tokens_per_byte": tokens_in_epoch / data_bytes,
        "steps": ended["steps"],
        "tokens": ended["tokens"],
        "seconds": ended["seconds"],
        "whole": ended["whole"],
        "resumed": ended["resumed"],
        "predicted": PredictedTime(**predicted._asdict()) if predicted else None,
    }


def tokens_in_epoch(facts: Mapping[str, Any]) -> int:
    """Count the tokens of a training split's rows, from tokens.json."""
    train = facts["train"]
    return train["tokens"] if "tokens" in train and "trained" not in train else train["trained"] + train["masked"]


def earlier_timings(root: Path) -> tuple[list[Timing], list[str]]:
    """Return the timings of all runs under `root`, newest first, and the files that are damaged or missing."""
    found, damaged = [], []
    for run in all_runs(root):
        try:
            timing = run.find(TIMING)
        except UserError:  # it may also be sealed and missing
            damaged.append(str(run / TIMING.name))
        else:
            found += [timing] if timing else []
    return found, damaged


def rate_of(timings: list[Timing], wanted: dict[str, Any]) -> Rate | None:
    """Return the median rate of the newest trainings with this method, or None. Its source says how far apart they are: other work on the
    machine slows a training, and is not recorded."""
    wanted = orjson.loads(orjson.dumps(wanted))  # tuples are lists in the file
    same = [line for line in timings if line["method"] == wanted and line["tokens"] and line["seconds"] > 0][:NEWEST]
    if not same:
        return None
    speeds = [line["tokens"] / line["seconds"] for line in same]
    spread = f", at {min(speeds):,.0f} to {max(speeds):,.0f} tokens/s" if len(same) > 1 else ""
    source = f"{counted(len(same), 'earlier run')} on this machine{spread}"
    return Rate(median(speeds), median(line["tokens_per_byte"] for line in same), source)


def error(line: Timing) -> float | None:
    """Return the relative error of a run's predicted time, or None if nothing comparable was predicted."""
    predicted = line["predicted"]
    if not predicted or not line["whole"] or not line["seconds"]:
        return None
    return predicted["seconds"] / line["seconds"] - 1


def past_errors(timings: list[Timing], machine: str) -> list[float]:
    """Return the errors of the newest predictions on this machine."""
    found = [error(line) for line in timings if line["method"].get("machine") == machine]
    return [one for one in found if one is not None][:LISTED]


def duration(seconds: float) -> str:
    """Format as `3 h 12 min`, `4 min 30 s` or `41 s`."""
    whole = round(seconds)
    hours, minutes = whole // 3600, whole % 3600 // 60
    return f"{hours:,} h {minutes} min" if hours else f"{minutes} min {whole % 60} s" if minutes else f"{whole} s"


def measured_line(line: Timing) -> str:
    """Format a run's time with its prediction."""
    off, predicted = error(line), line["predicted"]
    measured = f"trained for {duration(line['seconds'])}{' since it was resumed' if line['resumed'] else ''}"
    if off is None or predicted is None:
        return measured
    return f"{measured}; predicted {duration(predicted['seconds'])} by {predicted['source']} ({off:+z.0%})"
