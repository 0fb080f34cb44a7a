"""Translate keys about several processes: DeepSpeed, FSDP and Ray."""

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson

from ...schemas.base.errors import UserError
from .draft import Draft

_PROCESSES = "set launch.num_processes (default 1)"


def put_deepspeed(draft: Draft, key: str, value: Any) -> None:
    """Read a DeepSpeed file; for the files that Axolotl and LLaMA-Factory ship, the name is enough."""
    if not value:
        return draft.note(key, "launch.zero_stage", "off")
    found = _settings(value)
    if found is None:
        return draft.lose(key, "set launch.zero_stage: the file was not found")
    stage, optimizer, weights = found
    wanted: dict[str, Any] = _engine(draft, "deepspeed") | {"launch.zero_stage": stage}
    wanted |= {"launch.offload_optimizer": True} if optimizer else {}
    draft.put(key, wanted | ({"launch.offload_params": True} if weights else {}), f"other settings are recipekit's; {_PROCESSES}")


def _settings(value: Any) -> tuple[int, bool, bool] | None:
    """Return the ZeRO stage, and whether optimizer states and weights are offloaded."""
    if isinstance(value, str) and os.path.isfile(value):
        try:
            value = orjson.loads(Path(value).read_bytes())
        except (OSError, ValueError) as error:
            raise UserError(f"{value}: cannot be read: {error}") from None
    if isinstance(value, dict):
        zero = value.get("zero_optimization")
        zero = zero if isinstance(zero, dict) else {}
        stage = zero.get("stage")
        off = [bool(isinstance(part := zero.get(f"offload_{name}"), dict) and part.get("device") not in (None, "none"))
               for name in ("optimizer", "param")]  # fmt: skip
        return (stage, off[0], off[1]) if stage in (1, 2, 3) else None
    name = Path(str(value)).stem
    if named := re.fullmatch(r"zero([123])(_bf16)?(_cpuoffload_(all|params))?", name):
        return int(named[1]), named[4] == "all", bool(named[4])
    named = re.fullmatch(r"ds_z([123])(_offload)?_config", name)  # LLaMA-Factory's
    return (int(named[1]), bool(named[2]), bool(named[2]) and named[1] == "3") if named else None


def _fsdp(draft: Draft, key: str, value: Any) -> None:
    if not value:
        return draft.note(key, "launch.fsdp", "off")
    draft.put(key, _engine(draft, "torchrun") | {"launch.fsdp": True}, _PROCESSES)


def _engine(draft: Draft, name: str) -> dict[str, Any]:
    """Return the launcher, unless it is Ray."""
    return {} if draft.given.get("use_ray") else {"launch.engine": name}


def _fsdp_config(draft: Draft, key: str, value: Any) -> None:
    if not isinstance(value, dict):
        return draft.lose(key, "not a mapping")
    for name, setting in value.items():
        if name.removeprefix("fsdp_") == "offload_params":
            draft.put(f"{key}.{name}", _engine(draft, "torchrun") | {"launch.fsdp": True, "launch.offload_params": setting})
        else:
            draft.lose(f"{key}.{name}", "launch.fsdp: true uses recipekit's FSDP2 settings")
    if not draft.values.get("launch", {}).get("fsdp"):
        _fsdp(draft, key, value)


def _ray(draft: Draft, key: str, value: Any) -> None:
    if key == "use_ray":
        draft.put(key, {"launch.engine": "ray"}) if value else draft.note(key, "launch.engine", "off")
    else:
        draft.put(key, {"launch.num_processes": value})


LAUNCHED: dict[str, Callable[[Draft, str, Any], None]] = {
    "deepspeed": put_deepspeed, "fsdp": _fsdp, "fsdp_config": _fsdp_config, "use_ray": _ray, "ray_num_workers": _ray,
    "fsdp_version": lambda draft, key, value: draft.note(key, "launch.fsdp", "FSDP2"),
}  # fmt: skip
