"""NVIDIA's GPUs as nvidia-smi lists them: found without importing torch."""

import shutil
import subprocess
from typing import NamedTuple

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
