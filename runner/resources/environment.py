"""Inspect this machine's packages, GPUs, memory and disk, and find what is missing for training."""

import os
import sys
from importlib.metadata import requires
from pathlib import Path
from typing import Any

from packaging.requirements import Requirement

from ..launch.kernels import installed_kernels
from ..models.known_config import hub_path
from ..models.resolve import cache_folder
from ..runtime.machine import gpu_use, nvidia_gpus, package_versions, this_machine
from .fit import available_memory, free_disk

EXTRAS = ("", "data", "eval", "train")  # the extras that a run needs; "" is the base install


def environment() -> dict[str, Any]:
    """Return the machine's facts as plain values. Sizes are in bytes."""
    machine, (gpus, fault), use = this_machine(), nvidia_gpus(), gpu_use()
    used = [gpu.used for gpu in use] if len(use) == len(gpus) else [0] * len(gpus)
    hidden, build = machine.is_cpu and bool(gpus), torch_build()
    return {
        "python": sys.version.split()[0],
        "cores": machine.cores,
        "memory": {"total": machine.memory, "available": available_memory()},
        "disk": {"here": free_disk(Path()), "cache": free_disk(cache_folder()), "cache_folder": str(cache_folder())},
        "gpus": [{**gpu._asdict(), "used": taken} for gpu, taken in zip(gpus, used, strict=True)],
        "gpu_note": "hidden by RECIPEKIT_DEVICE=cpu" if hidden else fault or ("" if gpus else of_amd(build)),
        "torch": build,
        "kernels": installed_kernels(),
        "packages": packages(),
        "hub": {"offline": os.environ.get("HF_HUB_OFFLINE") == "1", "token": has_token()},
    }


def packages() -> list[dict[str, Any]]:
    """Return every package that a run needs: name, extra, wanted, version (None if not installed), fits."""
    found: dict[str, dict[str, Any]] = {}
    for wanted in map(Requirement, requires("recipekit") or ()):
        extra = next((extra for extra in EXTRAS if wanted.marker is None or wanted.marker.evaluate({"extra": extra})), None)
        if extra is None or wanted.name == "recipekit":
            continue
        here = package_versions([wanted.name]).get(wanted.name)
        # `2.13.0+cpu` counts as 2.13.0.
        fits = here is not None and wanted.specifier.contains(here.partition("+")[0], prereleases=True)
        found[wanted.name] = {"name": wanted.name, "extra": extra, "wanted": str(wanted.specifier), "version": here, "fits": fits}
    return list(found.values())


def torch_build() -> dict[str, str] | None:
    """Return torch's version and build without importing it; `2.13.0+cpu` is a build without CUDA."""
    here = package_versions(["torch"]).get("torch")
    return {"version": here, "build": here.partition("+")[2] or "default"} if here else None


def of_amd(build: dict[str, str] | None) -> str:
    """Return a note if torch is built for GPUs that are not used; "" if it is not."""
    is_rocm = build is not None and build["build"].startswith("rocm")
    return "torch is built for AMD's GPUs, which recipekit does not use: training runs on the CPU in fp32" if is_rocm else ""


def missing(facts: dict[str, Any]) -> list[str]:
    """Return what prevents training on this machine, with the fix."""
    faults = []
    for package in facts["packages"]:
        if not package["fits"]:
            extra = f"[{package['extra']}]" if package["extra"] else ""
            what = f"is {package['version']}, but {package['wanted']} is required" if package["version"] else "is not installed"
            faults.append(f'{package["name"]} {what}: pip install "recipekit{extra}"')
    if facts["gpus"] and facts["torch"] and facts["torch"]["build"] == "cpu":
        faults.append("this machine has a GPU, but torch was built without CUDA: see https://pytorch.org/get-started")
    return faults


def has_token() -> bool:
    """Return whether huggingface_hub would send a token; never the token."""
    named = any(os.environ.get(name) for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"))
    return named or hub_path("HF_TOKEN_PATH", "token").is_file()
