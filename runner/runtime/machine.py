"""Detect the hardware that decides precision, kernels and memory, without importing torch."""

import os
import re
import shutil
import subprocess
import sysconfig
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from itertools import takewhile
from pathlib import Path
from typing import NamedTuple

UNPACKED_SHARE = 0.25  # of main memory: the limit for 4-bit weights that are kept dequantised on a CPU

_PACKAGES = ("axolotl", "torch", "transformers", "peft", "bitsandbytes", "accelerate", "deepspeed", "trl", "liger-kernel")


class Machine(NamedTuple):
    """The machine that a run is rendered for. Memory is in bytes."""

    device: str = "cpu"
    gpus: int = 0
    gpu_name: str = ""
    gpu_memory: int = 0
    fast_bf16: bool = False
    memory: int = 0
    cores: int = 1
    has_liger: bool = True  # the extra [train] installs liger-kernel
    has_compiler: bool = True  # Triton builds what starts its kernels where they run

    @property
    def is_cpu(self) -> bool:
        return self.device == "cpu"


def package_versions(names: Iterable[str] = _PACKAGES) -> dict[str, str]:
    """Return the versions of those of the packages that are installed; by default, of the packages that affect training."""
    found = {}
    for name in names:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def has_compiler() -> bool:
    """Return whether Triton can build what starts its kernels: it needs a C compiler and the header of this Python."""
    compiler = os.environ.get("CC") or shutil.which("gcc") or shutil.which("clang")
    scheme = sysconfig.get_default_scheme().replace("posix_local", "posix_prefix")  # Debian names another folder
    return bool(compiler) and Path(sysconfig.get_paths(scheme)["include"], "Python.h").is_file()


def this_machine() -> Machine:
    """Return this machine. RECIPEKIT_DEVICE=cpu hides its GPUs."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0))
    gpus = [] if os.environ.get("RECIPEKIT_DEVICE") == "cpu" else nvidia_gpus()[0]
    if not gpus:
        # fp32 on every CPU: bf16 was measured 30 times slower on some, and is not deterministic on those where it is fast.
        return Machine(memory=memory, cores=cores)
    first = gpus[0]
    packages = ("liger-kernel" in package_versions(), has_compiler())
    return Machine("cuda", len(gpus), first.name, first.memory, first.capability >= 8.0, memory, cores, *packages)


def machine_named(name: str) -> Machine | None:
    """Return the machine for `--machine`: `this`, `cpu`, `gpu` (24 GB) or `gpu:GB`, both with fast bf16; None for other words."""
    if name in ("this", "cpu"):
        return this_machine() if name == "this" else Machine()
    kind, _, size = name.partition(":")
    if kind != "gpu" or (size and not re.fullmatch("[1-9][0-9]{0,3}", size)) or name.endswith(":"):
        return None
    return Machine("cuda", 1, f"a GPU with {size} GB" if size else "a GPU", int(size or 24) << 30, True)


PART = "part of "  # begins the name of a GPU that is divided
_FIELDS = ("uuid", "name", "memory.total", "driver_version", "compute_cap")


class Gpu(NamedTuple):
    """Memory in bytes, 0 if the GPU shares the machine's. `capability` is 0 if the driver is too old to report it."""

    name: str
    memory: int
    driver: str
    capability: float


def nvidia_gpus() -> tuple[list[Gpu], str]:
    """Return the GPUs that CUDA_VISIBLE_DEVICES leaves visible, in its order, and what is wrong if nvidia-smi exists but lists none, or
    reports too little."""
    if not shutil.which("nvidia-smi"):
        return [], ""
    message, rows = _query(_FIELDS)
    if rows:
        seen = [_gpu(row) for row in _visible(rows)]
        return seen, "" if seen else "hidden by CUDA_VISIBLE_DEVICES"
    second_message, rows = _query(_FIELDS[:-1])  # drivers before 510 have no compute_cap
    if rows:
        return [_gpu([*row, ""]) for row in _visible(rows)], "the driver is too old to report the compute capability: bf16 is not used"
    return [], f"nvidia-smi lists no GPU: {second_message or message or 'no output'}"


class GpuUse(NamedTuple):
    """What programs use of a visible GPU now, and what is free, in bytes."""

    name: str
    used: int
    free: int


def gpu_use() -> list[GpuUse]:
    """Return the use of each visible GPU, in their order; [] if nvidia-smi does not say it of all, as of a part of a GPU."""
    if not shutil.which("nvidia-smi"):
        return []
    _, rows = _query(("uuid", "name", "memory.used", "memory.free"))
    seen = _visible(rows) if rows else []
    if not all(cell.isdigit() for row in seen for cell in row[2:]):
        return []
    return [GpuUse(row[1], int(row[2]) << 20, int(row[3]) << 20) for row in seen]


def gpus_of(machine: Machine, processes: int) -> list[GpuUse]:
    """Return the use of the GPUs of so many processes, the first process's first; [] where it is unknown, and for another machine."""
    used = [] if machine.is_cpu else gpu_use()[:processes]
    return used if used and used[0].name == machine.gpu_name else []


def _query(fields: tuple[str, ...]) -> tuple[str, list[list[str]]]:
    """Return the first line of output, and the rows."""
    argv = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    except (subprocess.SubprocessError, OSError) as error:
        return str(error), []
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    rows = [[cell.strip() for cell in line.split(",")] for line in lines if line.count(",") == len(fields) - 1]
    return (lines[0] if lines else ""), [] if done.returncode else rows


def _visible(rows: list[list[str]]) -> list[list[str]]:
    """Return the rows that CUDA_VISIBLE_DEVICES leaves visible.

    Of a GPU that is divided (MIG) a training uses one part, with an unknown share of its memory, whichever way it is named. Before driver
    570, CUDA finds no other GPU next to a part (NVIDIA's MIG user guide, "CUDA Device Enumeration").
    """
    divided, is_alone = _divided() if any(_CAN_BE_DIVIDED.search(row[1]) for row in rows) else (set[str](), False)
    rows = [_part_of(row) if row[0] in divided else row for row in rows]
    wanted = os.environ.get("CUDA_VISIBLE_DEVICES")
    if wanted is not None and wanted.startswith("MIG-"):
        return [_part_of(next((row for row in rows if row[0] in divided), rows[0]))]
    seen = rows if wanted is None else [rows[number] for number in chosen_gpus(wanted, [row[0] for row in rows])]
    return is_alone and [row for row in seen if row[0] in divided][:1] or seen


def chosen_gpus(wanted: str, uuids: list[str]) -> list[int]:
    """Return the GPUs that a list of numbers, or of beginnings of UUIDs, names as torch reads it: up to the first that is none or, of
    numbers, has no digits at its beginning; none if one is named twice."""
    names = wanted.split(",")
    if wanted.startswith("GPU-"):
        matching = [[number for number, uuid in enumerate(uuids) if name[:4] == "GPU-" and uuid.startswith(name)] for name in names]
        numbers = [found[0] if len(found) == 1 else -1 for found in matching]
    else:
        digits = [re.match(r"[+-]?\d+", name.strip()) for name in names]
        numbers = [int(found[0]) if found else -1 for found in digits]
    named = [*takewhile(lambda number: number >= 0, numbers)]
    return [] if len({*named}) < len(named) else [*takewhile(lambda number: number < len(uuids), named)]


_CAN_BE_DIVIDED = re.compile(r"\b(A30|A100|A800|G?[HB]\d{2,3}|RTX PRO)")


def _divided() -> tuple[set[str], bool]:
    """Return the UUIDs of the GPUs that are divided into instances, and whether CUDA finds an instance alone."""
    found = [row for row in _query(("uuid", "mig.mode.current", "driver_version"))[1] if row[1] == "Enabled"]
    return {row[0] for row in found}, any(_number(row[2].partition(".")[0]) < 570 for row in found)


def _part_of(row: list[str]) -> list[str]:
    """Return the row of a part of a GPU: its memory, and what is used and free of it, are not those of the whole."""
    unknown = ["[N/A]" if cell.isdigit() else cell for cell in row[2:]]
    return row if row[1].startswith(PART) else [row[0], f"{PART}{row[1]}", *unknown]


def _gpu(row: list[str]) -> Gpu:
    """Return the GPU of a row, whose first cell is its UUID."""
    return Gpu(row[1], int(_number(row[2])) << 20, row[3], _number(row[4]))


def _number(cell: str) -> float:
    """Return the number; 0 for `[N/A]`."""
    return float(cell) if cell.replace(".", "", 1).isdigit() else 0
