"""Check before training whether it fits in memory and on disk."""

import math
import os
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from ...schemas.base.errors import Problem, UserError
from ...schemas.sections import Recipe
from ..launch.deepspeed import cpu_adam_lacks
from ..launch.precision import has_fp32_weights, precision
from ..models.size import ModelSize, model_size
from ..runtime.machine import GpuUse, Machine, gpus_of, this_machine
from ..runtime.run_files import FIT_FORECAST, FitForecast, MemoryForecast, PeakMemory
from ..runtime.run_folder import RunFolder
from .activations import FAMILIES
from .evaluation_memory import evaluation_memory
from .forward_pass import ForwardPass
from .main_memory import main_memory
from .memory import CPU_RUNTIME, CUDA_RUNTIME, MemoryPlan, memory_plan, optimizer_bytes
from .remedies import MainMemory, Remedy, remedies

NOTHING_FITS = "it does not fit with adapter: qlora, micro_batch_size: 1 and gradient_checkpointing: true either: use a smaller model"
# A prediction is refused beyond this multiple of the available memory.
MARGIN = 1.1
# What a peak may be, as a multiple of the prediction. On a CPU, measured peaks were at most 4 % above it (docs/measurements.md); on GPUs,
# published ones at most 11 % (docs/gpu/memory.md, compared by a test), and none of them was measured with this trainer.
MOST_ON_CPU = 1.1
MOST_ON_GPU = 1.2
CLOSE = 0.75  # of the disk
OTHERS = 0.01  # of a GPU: a driver alone uses less


class Fit(NamedTuple):
    """The bytes that a training needs and the bytes that are available, on the device and on the disk."""

    memory: MemoryPlan  # of one process: with GPUs, each process has its own
    memory_available: int
    processes: int  # that share the device's memory; 1 on a GPU
    disk: dict[str, int]  # by part
    disk_available: int
    device: str
    unknown: str = ""
    most: float = MOST_ON_GPU  # the peak is predicted not to exceed `most` times what is needed
    evaluation: dict[str, int] = {}  # on a GPU: what the evaluation needs, by part
    main: dict[str, int] = {}  # on a GPU: the main memory that all processes of this machine need, by part
    main_available: int = 0
    remedies: tuple[Remedy, ...] = ()  # changes with which a training that is too large fits
    gpus: int = 0
    taken: int = 0  # what other programs use of the fullest GPU; it is not available
    taken_of_first: int = 0  # what they use of the first process's GPU

    @property
    def memory_needed(self) -> int:
        return self.memory.total * self.processes

    @property
    def memory_most(self) -> int:
        return int(self.memory_needed * self.most)

    @property
    def disk_needed(self) -> int:
        return sum(self.disk.values())

    def facts(self) -> FitForecast:
        """Return the values that a run stores."""
        tokens, per = self.memory.rows.size
        return {
            "memory": {"needed": self.memory_needed, "most": self.memory_most, "available": self.memory_available,
                       "processes": self.processes, "gpus": self.gpus, "tokens": tokens, "per": per, "parts": self.memory.parts,
                       "device": self.device, "taken": self.taken, "taken_of_first": self.taken_of_first},
            "disk": {"needed": self.disk_needed, "available": self.disk_available, "parts": self.disk},
            "trained_parameters": self.memory.trained, "evaluation": sum(self.evaluation.values()),
            "main_memory": {"needed": sum(self.main.values()), "available": self.main_available, "parts": self.main},
        }  # fmt: skip


def fit(
    recipe: Recipe,
    size: ModelSize,
    machine: Machine,
    folder: Path,
    labels: int = 0,
    steps: int | None = None,
    rows: ForwardPass | None = None,
    held: int = 0,
) -> Fit:
    """Compare what the training needs with what is available.

    `folder` is where it writes, `rows` its largest forward pass if known, `held` the most memory that it already uses itself.
    """
    memory = memory_plan(recipe, size, machine, labels, rows)
    used = gpus_of(machine, recipe.launch.num_processes)
    available = available_memory() + held if machine.is_cpu else _free_of_fullest(machine, used, held)
    unknown = "" if size.family in FAMILIES else f"activations: the layers of model_type {size.family!r} are unknown"
    processes = recipe.launch.num_processes if machine.is_cpu else 1
    disk = disk_plan(recipe, size, machine, labels, steps)
    device, most = ("this machine", MOST_ON_CPU) if machine.is_cpu else (machine.gpu_name, MOST_ON_GPU)
    found = Fit(memory, available, processes, disk, free_disk(folder), device, unknown, most)
    if others := _of_others(machine, used, held):
        found = found._replace(taken=max(others), taken_of_first=others[0])
    main_available = 0 if machine.is_cpu or not machine.memory else available_memory()
    if found.memory_most > available > 0:
        main = MainMemory(main_available, not cpu_adam_lacks())
        found = found._replace(remedies=tuple(remedies(recipe, size, machine, labels, memory.rows, available, most, main)))
    if machine.is_cpu:
        return found
    evaluation, main = evaluation_memory(recipe, size, machine, memory.rows.longest), main_memory(recipe, size, machine, memory.trained)
    return found._replace(gpus=recipe.launch.processes, evaluation=evaluation, main=main, main_available=main_available)


def _free_of_fullest(machine: Machine, used: list[GpuUse], held: int) -> int:
    """Return the bytes that a training can have of each of its GPUs, now. 0 would mean unknown."""
    return max(min(gpu.free + min(held, gpu.used) for gpu in used), 1) if used else machine.gpu_memory


def _of_others(machine: Machine, used: list[GpuUse], held: int) -> list[int]:
    """Return the bytes that other programs use of each of the training's GPUs."""
    taken = [max(gpu.used - held, 0) for gpu in used]
    return [size if size > OTHERS * machine.gpu_memory else 0 for size in taken]


def too_large(recipe: Recipe, base_model: str, labels: int, rows: ForwardPass) -> list[str]:
    """Return why the training cannot fit, once the rows' lengths are known and before a model is loaded. Writes fit.json."""
    if (size := model_size(base_model, recipe.model.revision)) is None:
        return []
    machine = this_machine()
    held = CPU_RUNTIME * recipe.launch.num_processes if machine.is_cpu else CUDA_RUNTIME
    found = fit(recipe, size, machine, Path(), labels, rows=rows, held=held)
    if int(os.environ.get("RANK", "0")) == 0:
        RunFolder(Path()).write(FIT_FORECAST, found.facts())
    return [f"{problem.what}: {problem.hint}" for problem in problems(found, full_rows=True)]


def problems(found: Fit, full_rows: bool) -> list[Problem]:
    """Return why the recipe cannot be trained here. Without `full_rows`, rows may be shorter than `tokens`: only certain needs count."""
    refused = []
    sure = (found.memory.total if full_rows else found.memory.certain) * found.processes
    if found.memory_available and sure > found.memory_available * MARGIN:
        refused.append(Problem("", f"the training does not fit in memory: {memory_sum(found)}", less_memory(found), "memory"))
    if found.disk_needed > found.disk_available:
        hint = "free some space, lower training.save_total_limit, or choose another disk with --runs-dir"
        refused.append(Problem("", f"the checkpoints do not fit on the disk: {disk_sum(found)}", hint, "disk"))
    return refused


def warnings(found: Fit, refused: Sequence[Problem] = ()) -> list[str]:
    """Return warnings for what is tight, or too small for the longest rows allowed, and not among the `refused` already."""
    close, rules = [], [problem.rule for problem in refused]
    if found.memory_available and found.memory_most > found.memory_available and "memory" not in rules:
        enough = found.memory_needed <= found.memory_available
        what = f"memory is tight, up to {size_text(found.memory_most)} may be needed" if enough else "not enough memory"
        needed, available = size_text(found.memory_needed), size_text(found.memory_available)
        what = f"{what}, at {rows_text(found.facts()['memory'])}: {needed} of {available}{others_text(found.taken)}"
        close.append(f"{what}; {less_memory(found)}")
    if 0 < found.memory_available < sum(found.evaluation.values()):
        needed, available = size_text(sum(found.evaluation.values())), size_text(found.memory_available)
        close.append(f"the evaluation needs about {needed} of {available}: it can be done elsewhere after the training, with recipe eval")
    if 0 < found.main_available < sum(found.main.values()):
        close.append(f"not enough main memory: {_sum(found.main)}, and {size_text(found.main_available)} are available")
    if found.disk_needed > CLOSE * found.disk_available and "disk" not in rules:
        close.append(f"the disk is nearly full: {size_text(found.disk_needed)} needed, {size_text(found.disk_available)} free")
    return close


def less_memory(found: Fit) -> str:
    """Return with what it surely fits: without other programs on the GPU, or with changes of the recipe."""
    each = [_remedy_text(remedy) for remedy in found.remedies]
    if found.taken and found.memory_most <= found.memory_available + found.taken:
        each = ["once the other programs on the GPU have ended (nvidia-smi lists them)", *each]
    return f"it fits {', or '.join(each)}" if each else NOTHING_FITS


def _remedy_text(remedy: Remedy) -> str:
    settings, needed = " ".join(f"--set {setting}" for setting in remedy.settings()), size_text(remedy.needed)
    return f"on {remedy.gpus} such GPUs with {settings} ({needed} on each)" if remedy.gpus else f"with {settings} ({needed})"


def needs_line(found: Fit) -> str:
    """Format as a line for the terminal."""
    needed, most = size_text(found.memory_needed), size_text(found.memory_most)
    memory = f"memory about {needed}{on_each(found.facts()['memory'])}, up to {most}, at {rows_text(found.facts()['memory'])}"
    available = f" ({size_text(found.memory_available)} available{others_text(found.taken)})" if found.memory_available else ""
    return f"{memory}{available}, disk {size_text(found.disk_needed)} ({size_text(found.disk_available)} free)"


def require(found: Fit, full_rows: bool) -> None:
    """Raise UserError if the training cannot fit."""
    if refused := problems(found, full_rows):
        raise UserError(*refused)


def memory_sum(found: Fit) -> str:
    """Format as `3.1 GB (weights 2.0 + ...), and this machine has 4.0 GB`."""
    several = f"{found.processes} processes x " if found.processes > 1 else ""
    has = f"{found.device} has {size_text(found.memory_available)}{' free' if found.taken else ''}{others_text(found.taken)}"
    return f"{several}{_sum(found.memory.parts)}, and {has}"


def others_text(taken: int) -> str:
    """Format as `, other programs use 60 GB`; "" for none."""
    return f", other programs use {size_text(taken)}" if taken else ""


def disk_sum(found: Fit) -> str:
    return f"{_sum(found.disk)}, and {size_text(found.disk_available)} are free"


def _sum(parts: dict[str, int]) -> str:
    return f"{size_text(sum(parts.values()))} ({' + '.join(f'{name} {size_text(size)}' for name, size in parts.items())})"


def peak_text(memory: PeakMemory) -> str:
    """Format a run's measured peak memory with its prediction and the error of that."""
    measured, predicted = f"peak memory {size_text(memory['peak'])} ({memory['device']})", memory["predicted"]
    if not predicted or not memory["peak"]:
        return measured
    off = predicted["needed"] / memory["peak"] - 1
    return f"{measured}; predicted {size_text(predicted['needed'])} at {rows_text(predicted)} ({off:+z.0%})"


def rows_text(memory: MemoryForecast) -> str:
    """Format as `512 tokens per row`, the rows that a memory is predicted for."""
    return f"{memory['tokens']:,} tokens per {memory['per']}"


def on_each(memory: MemoryForecast) -> str:
    """Format as ` on each of 8 GPUs`; "" for one GPU or a CPU."""
    return f" on each of {memory['gpus']} GPUs" if memory["gpus"] > 1 else ""


def size_text(size: int) -> str:
    """Format bytes in decimal units with three digits; used for all sizes on screen and in reports."""
    value, units = float(size), ["bytes", "kB", "MB", "GB", "TB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return f"{value:.0f} {units[0]}" if value >= 100 or units[0] == "bytes" else f"{value:.3g} {units[0]}"


def available_memory() -> int:
    """Return the bytes that this process can still use, within its control group."""
    available = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_AVPHYS_PAGES")
    meminfo = Path("/proc/meminfo")
    if meminfo.is_file():
        lines = dict(line.split(":", 1) for line in meminfo.read_text(encoding="ascii").splitlines())
        available = int(lines["MemAvailable"].split()[0]) << 10
    limit, used = (Path("/sys/fs/cgroup") / name for name in ("memory.max", "memory.current"))
    if limit.is_file() and used.is_file() and (text := limit.read_text(encoding="ascii").strip()).isdigit():
        available = min(available, max(int(text) - int(used.read_text(encoding="ascii")), 0))
    return available


def free_disk(folder: Path) -> int:
    """Return the free bytes on the disk of `folder`, which need not exist."""
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def disk_plan(recipe: Recipe, size: ModelSize, machine: Machine, labels: int = 0, steps: int | None = None) -> dict[str, int]:
    """Return the bytes by part that the run's directory needs, without the tokenised rows, whose length is not known yet."""
    training = recipe.training
    wide = 4 if precision(training, machine) == "fp32" else 2
    trained = memory_plan(recipe, size, machine, labels).trained
    weights = trained * (wide if training.adapter == "none" and not has_fp32_weights(recipe, machine) else 4)
    state = optimizer_bytes(recipe, size, machine, trained, weights)
    # A new checkpoint is complete before the oldest is removed.
    kept = training.save_total_limit + 1
    every = training.save_steps or training.eval_steps
    if steps is not None:
        kept = min(kept, math.ceil(steps / every) if every else math.ceil(training.num_epochs))
    parts = {"checkpoints": kept * (weights + state), "trained weights (2 copies)": 2 * weights}
    return parts | ({"merged model": size.parameters * wide} if recipe.export.merge else {})
