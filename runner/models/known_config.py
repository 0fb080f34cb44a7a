"""The configuration of a model, from wherever this machine knows it: its folder, huggingface_hub's cache, or the list of public models."""

import os
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from .config_file import model_config


class KnownConfig(NamedTuple):
    """The values of a model's config.json, and the folder that has it; None for a public model that is not on this machine."""

    values: dict[str, Any]
    folder: Path | None = None


def known_config(name: str, revision: str | None = None) -> KnownConfig | None:
    """Return the configuration of a folder, a cached hub model, or a public model; None if it is unknown. Raises UserError for a damaged
    one."""
    folder = local_folder(name, revision)
    if folder is not None and (folder / "config.json").is_file():
        return KnownConfig(model_config(folder), folder)
    public = public_models().get(name)
    return KnownConfig(public["config"]) if public else None


def hub_path(variable: str, name: str) -> Path:
    """Return a path of huggingface_hub, which the base install lacks: what the variable names, or else this name in its folder."""
    home = os.environ.get("HF_HOME") or Path(os.environ.get("XDG_CACHE_HOME") or "~/.cache") / "huggingface"
    return Path(os.path.expandvars(os.environ.get(variable) or Path(home) / name)).expanduser()


def local_folder(name: str, revision: str | None) -> Path | None:
    """Return a model's folder: its own path, or the one in huggingface_hub's cache, or None."""
    if Path(name).is_dir():
        return Path(name)
    cache = hub_path("HF_HUB_CACHE", "hub") / f"models--{name.replace('/', '--')}"
    reference = cache / "refs" / (revision or "main")
    commit = reference.read_text(encoding="utf-8").strip() if reference.is_file() else revision or ""
    folder = cache / "snapshots" / commit
    return folder if commit and folder.is_dir() else None


@cache
def public_models() -> dict[str, dict[str, Any]]:
    """Return hub name -> config, tokens (bos, eos, pad, unk, more), chat_template (Axolotl's name), remote_code.

    `remote_code` says that transformers lacks the architecture and code from the hub would be needed; the config is then that of the same
    weights in Llama's format, which InternLM's convert2llama.py produces.
    """
    return orjson.loads((Path(__file__).parent / "public_models.json").read_bytes())
