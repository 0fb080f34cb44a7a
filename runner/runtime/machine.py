"""What the machine has that decides precision, kernels and numbers: found without importing torch."""

import os
import re
import shutil
import subprocess
from importlib.metadata import PackageNotFoundError, version
from typing import NamedTuple

UNPACKED_SHARE = 0.25  # of main memory: what 4-bit weights may take that a CPU keeps unpacked

_PACKAGES = ("axolotl", "torch", "transformers", "peft", "bitsandbytes", "accelerate", "deepspeed", "trl", "liger-kernel")


class Machine(NamedTuple):
    """The machine that a run is rendered for. Memory in bytes."""

    device: str = "cpu"
    gpus: int = 0
    gpu_name: str = ""
    gpu_memory: int = 0
    fast_bf16: bool = False
    memory: int = 0
    cores: int = 1
    has_liger: bool = True  # liger-kernel comes with the extra [train]

    @property
    def is_cpu(self) -> bool:
        return self.device == "cpu"


def package_versions() -> dict[str, str]:
    """The versions of the packages that decide what training does, of those that are installed."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def _is_installed(package: str) -> bool:
    try:
        version(package)
    except PackageNotFoundError:
        return False
    return True


def this_machine() -> Machine:
    """The machine that we are on. RECIPEKIT_DEVICE=cpu hides its GPUs."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    cores = len(os.sched_getaffinity(0))
    gpus = [] if os.environ.get("RECIPEKIT_DEVICE") == "cpu" else nvidia_gpus()[0]
    if not gpus:
        # fp32 on every CPU: bf16 there was measured 30 times slower, and where it is fast it is not deterministic.
        return Machine(memory=memory, cores=cores)
    first = gpus[0]
    return Machine("cuda", len(gpus), first.name, first.memory, first.capability >= 8.0, memory, cores, _is_installed("liger-kernel"))


def machine_named(name: str) -> Machine | None:
    """The machine of `--machine`: `this`, `cpu`, `gpu` (24 GB) or `gpu:GB`, both with fast bf16; None for other words."""
    if name in ("this", "cpu"):
        return this_machine() if name == "this" else Machine()
    kind, _, size = name.partition(":")
    if kind != "gpu" or (size and not re.fullmatch("[1-9][0-9]{0,3}", size)) or name.endswith(":"):
        return None
    return Machine("cuda", 1, f"a GPU of {size} GB" if size else "a GPU", int(size or 24) << 30, True)


_FIELDS = ("name", "memory.total", "driver_version", "compute_cap")


class Gpu(NamedTuple):
    """Memory in bytes, 0 where the GPU shares the machine's. `capability` is 0 where the driver is too old to tell it."""

    name: str
    memory: int
    driver: str
    capability: float


def nvidia_gpus() -> tuple[list[Gpu], str]:
    """The GPUs, and what is wrong where nvidia-smi is there but lists none, or tells less than it should."""
    if not shutil.which("nvidia-smi"):
        return [], ""
    said, rows = _query(_FIELDS)
    if rows:
        return [_gpu(row) for row in rows], ""
    said_again, rows = _query(_FIELDS[:-1])  # before driver 510 there is no compute_cap
    if rows:
        return [_gpu([*row, ""]) for row in rows], "the driver is too old to tell the compute capability: bf16 is not used"
    return [], f"nvidia-smi lists no GPU: {said_again or said or 'it says nothing'}"


def _query(fields: tuple[str, ...]) -> tuple[str, list[list[str]]]:
    """What it said that is no row, and the rows."""
    argv = ["nvidia-smi", f"--query-gpu={','.join(fields)}", "--format=csv,noheader,nounits"]
    try:
        done = subprocess.run(argv, capture_output=True, text=True, timeout=20, check=False)
    except (subprocess.SubprocessError, OSError) as error:
        return str(error), []
    lines = [line.strip() for line in (done.stdout + done.stderr).splitlines() if line.strip()]
    rows = [[cell.strip() for cell in line.split(",")] for line in lines if line.count(",") == len(fields) - 1]
    return (lines[0] if lines else ""), [] if done.returncode else rows


def _gpu(row: list[str]) -> Gpu:
    return Gpu(row[0], int(_number(row[1])) << 20, row[2], _number(row[3]))


def _number(cell: str) -> float:
    """0 for `[N/A]`."""
    return float(cell) if cell.replace(".", "", 1).isdigit() else 0
