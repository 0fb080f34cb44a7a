"""The plan of a training, as a value: the files to write, the command, its environment. `--dry-run` prints it, `run` executes it."""

import os
import shlex
import sys
from pathlib import Path
from typing import NamedTuple

import orjson

from ...converters.building.manifest import Manifest
from ...schemas.base.errors import Problem, UserError
from ...schemas.base.files import write_atomically
from ...schemas.recipe import LoadedRecipe
from ...schemas.sections import Recipe
from ...schemas.yaml_writing import to_yaml
from ..models.architecture import Architecture, architecture
from ..models.resolve import ResolvedModel
from ..runtime.machine import Machine
from .axolotl_config import RenderedData, render_axolotl, substitutions, trains_on_one_gpu_of_several
from .deepspeed import render_deepspeed
from .engines import HOSTFILE, command, hostfile, processes_environment, unstartable
from .kernel_choice import choose
from .kernels import Kernel, kernels, missing_kernels
from .slurm import SCRIPT, must_submit, script
from .steps import early_stopping_note, repetitions
from .trackers import require_trackers, tracker_environment

CONFIG = "rendered/axolotl.yml"
# cuBLAS reads this before the trainer turns on torch's deterministic algorithms.
DETERMINISTIC = {"CUBLAS_WORKSPACE_CONFIG": ":4096:8", "FLASH_ATTENTION_DETERMINISTIC": "1"}


class Plan(NamedTuple):
    """Files by path relative to the run directory, in which the command is started without a shell."""

    files: dict[str, str]
    argv: tuple[str, ...]
    env: dict[str, str]

    def write(self, folder: Path) -> None:
        """Write the files."""
        for name, text in self.files.items():
            write_atomically(folder / name, text.encode())

    def resuming(self, checkpoint: str) -> "Plan":
        """Return the plan that resumes from a checkpoint (relative to the run directory).

        The option follows the configuration file: options before that are the launcher's.
        """
        after = self.argv.index(CONFIG) + 1
        return self._replace(argv=(*self.argv[:after], f"--resume-from-checkpoint={checkpoint}", *self.argv[after:]))

    def executable(self) -> tuple[str, ...]:
        """Return the command with this interpreter, which has our packages, instead of `python`."""
        at = self.argv.index("python")
        return (*self.argv[:at], sys.executable, *self.argv[at + 1 :])


def plan(recipe: Recipe, data: RenderedData, machine: Machine, base_model: str, model: Architecture | None = None) -> Plan:
    """Return the rendered configuration and the command. Without `model`, no fast kernels are used."""
    config = render_axolotl(recipe, data, machine, base_model, choose(recipe, machine, model))
    files = {CONFIG: "# Rendered by recipekit from recipe.yml; edit that.\n" + to_yaml(config)}
    if deepspeed := render_deepspeed(recipe.launch, machine):
        files["rendered/deepspeed.json"] = orjson.dumps(deepspeed, option=orjson.OPT_INDENT_2).decode() + "\n"
    if recipe.launch.engine == "slurm":
        files[SCRIPT] = script(recipe)
    argv = command(recipe.launch, CONFIG)
    env = model_environment(machine, recipe.training.trackers) | processes_environment(recipe.launch, machine)
    if recipe.training.deterministic and not machine.is_cpu:
        env |= DETERMINISTIC
    if trains_on_one_gpu_of_several(recipe, machine):
        env["CUDA_VISIBLE_DEVICES"] = os.environ.get("CUDA_VISIBLE_DEVICES", "0").split(",")[0]
    if recipe.launch.hosts:
        # DeepSpeed passes the variables in .deepspeed_env to the other machines, and few others.
        files |= {HOSTFILE: hostfile(recipe.launch), ".deepspeed_env": "".join(f"{name}={value}\n" for name, value in sorted(env.items()))}
    files["rendered/command.txt"] = " ".join([*(f"{k}={shlex.quote(v)}" for k, v in sorted(env.items())), shlex.join(argv)]) + "\n"
    return Plan(files, argv, env)


def model_environment(machine: Machine, trackers: tuple[str, ...] = ()) -> dict[str, str]:
    """Return the environment of a process that loads a model on this machine."""
    env = {"AXOLOTL_DO_NOT_TRACK": "1", "DO_NOT_TRACK": "1", "PYTHONSAFEPATH": "1", "TOKENIZERS_PARALLELISM": "false"}
    if machine.is_cpu:
        # A build of torch for AMD's GPUs takes an empty list for no list.
        env |= {"ACCELERATE_USE_CPU": "true", "DS_ACCELERATOR": "cpu", "CUDA_VISIBLE_DEVICES": "", "HIP_VISIBLE_DEVICES": "-1"}
        env |= {"OMP_WAIT_POLICY": "PASSIVE"}  # spinning threads starve each other on shared cores
    else:
        env |= {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}  # as nvidia-smi, which describes the machine; by default CUDA numbers the fastest first
    return env | tracker_environment(trackers)


class TrainingJob(NamedTuple):
    """What is trained on this machine, and how."""

    recipe: Recipe  # with a micro_batch_size in numbers
    plan: Plan
    model: ResolvedModel
    notes: list[str]  # what differs on this machine, or has no effect, in words
    kernels: list[Kernel]  # [] on a CPU


def make_job(loaded: LoadedRecipe, manifest: Manifest, machine: Machine, model: ResolvedModel) -> TrainingJob:
    """Return the training of the recipe, with this data and machine."""
    splits = manifest["splits"]
    data = RenderedData(validation="data/validation.jsonl" if splits.get("validation") else None, labels=tuple(manifest.get("labels", ())))
    rows = splits.get("train", 0)
    notes = substitutions(loaded.recipe, machine) + repetitions(loaded.recipe, rows) + early_stopping_note(loaded.recipe, rows)
    found = architecture(model.path, loaded.recipe.model.revision)
    used = kernels(loaded.recipe, machine, installed=None, capability=0, model=found)
    return TrainingJob(loaded.recipe, plan(loaded.recipe, data, machine, model.path, found), model, notes, used)


def require_startable(loaded: LoadedRecipe, machine: Machine) -> None:
    """Raise UserError if this machine cannot start the training. A Slurm job runs on another machine, and is not checked."""
    if must_submit(loaded.recipe):
        return
    require_trackers(loaded.recipe)
    location = loaded.document.location
    found = [Problem(location(("launch", key)), f"launch.{key}: {what}", hint, "launch")
             for key, what, hint in unstartable(loaded.recipe.launch, machine)]  # fmt: skip
    found += [Problem(location(key), f"{'.'.join(key)}: {what}", rule="kernels") for key, what in missing_kernels(loaded.recipe, machine)]
    if found:
        raise UserError(*found)
