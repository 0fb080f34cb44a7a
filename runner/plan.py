"""What a training will do, as a value: the files to write, the command, its environment. `--dry-run` prints it, `run` carries it out."""

import shlex
import sys
from typing import Any, NamedTuple

import orjson
import yaml

from ..schemas.sections import Launch, Recipe
from .axolotl_config import RenderedData, render_axolotl
from .deepspeed_config import render_deepspeed
from .machine import Machine

CONFIG = "rendered/axolotl.yml"


class Plan(NamedTuple):
    """Files by path relative to the run directory, where the command is started; nothing here goes through a shell."""

    files: dict[str, str]
    argv: tuple[str, ...]
    env: dict[str, str]


class _Dumper(yaml.SafeDumper):
    """Writes floats so that YAML 1.1 readers read them back as floats: 2e-4 would become text."""


def _float(dumper: yaml.SafeDumper, value: float) -> yaml.ScalarNode:
    text = repr(value)
    if "e" in text and "." not in text:
        text = text.replace("e", ".0e")
    return dumper.represent_scalar("tag:yaml.org,2002:float", text)


_Dumper.add_representer(float, _float)


def to_yaml(values: dict[str, Any]) -> str:
    """Block YAML in the order of the keys, read back the same by YAML 1.1 and 1.2."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)


def plan(recipe: Recipe, data: RenderedData, machine: Machine, base_model: str) -> Plan:
    """The rendered configuration and the command that trains with it."""
    config = render_axolotl(recipe, data, machine, base_model)
    files = {CONFIG: "# Rendered by recipekit from recipe.yml; edit that.\n" + to_yaml(config)}
    if deepspeed := render_deepspeed(recipe.launch, machine):
        files["rendered/deepspeed.json"] = orjson.dumps(deepspeed, option=orjson.OPT_INDENT_2).decode() + "\n"
    argv = ("python", "-m", "axolotl.cli.main", "train", CONFIG, *_launcher(recipe.launch))
    env = _environment(machine, recipe.training.trackers)
    files["rendered/command.txt"] = " ".join([*(f"{k}={shlex.quote(v)}" for k, v in sorted(env.items())), shlex.join(argv)]) + "\n"
    return Plan(files, argv, env)


def executable(argv: tuple[str, ...]) -> tuple[str, ...]:
    """The command with this interpreter, which has our packages, in the place of `python`."""
    return (sys.executable, *argv[1:])


def _launcher(launch: Launch) -> tuple[str, ...]:
    if launch.engine == "local" or (launch.num_processes == launch.num_nodes == 1 and not launch.zero_stage):
        return ("--launcher", "python")
    rendezvous: tuple[str, ...] = ()
    if launch.num_nodes > 1:
        rendezvous = (
            "--nnodes", str(launch.num_nodes), "--rdzv_backend", "c10d",
            "--rdzv_endpoint", launch.main_address or "", "--rdzv_id", "recipekit",
        )  # fmt: skip
    return ("--launcher", "torchrun", "--", "--nproc_per_node", str(launch.num_processes), *rendezvous)


def _environment(machine: Machine, trackers: tuple[str, ...]) -> dict[str, str]:
    env = {"AXOLOTL_DO_NOT_TRACK": "1", "DO_NOT_TRACK": "1", "PYTHONSAFEPATH": "1", "TOKENIZERS_PARALLELISM": "false"}
    if machine.is_cpu:
        env |= {"ACCELERATE_USE_CPU": "true", "DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": ""}
    if "wandb" in trackers:
        env["WANDB_MODE"] = "offline"
    return env
