"""A run's stages and the keys that say whether one has been done before: each key is the hash of everything that goes into it."""

import shutil
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from ...converters.building.hub_datasets import commit_of, is_on_hub
from ...converters.reading.files import source_files
from ...converters.sources.registry import converter
from ...schemas import VERSION
from ...schemas.base.hashing import file_sha256, key_of, with_contents
from ...schemas.sections import Data, Evaluation
from ..launch.plan import Plan
from ..runtime.run_folder import RunFolder, all_runs

# What each stage leaves in the run directory; a later run with the same key links it instead of doing it again.
OUTPUTS = {"data": ("data",), "train": ("model", "metrics.jsonl", "tokens.json"), "merge": ("merged",), "evaluate": ("eval",)}
STAGES = tuple(OUTPUTS)
OPTIONAL_OUTPUTS = {"train": ("memory.json",)}  # goes along where a run has it
_PACKAGES = ("axolotl", "torch", "transformers", "peft", "bitsandbytes", "accelerate", "deepspeed", "trl")


def data_key(data: Data) -> str:
    """Changes with a byte or commit of any source, with an option, with a converter's version; not with where the files lie."""
    sources = []
    for source in data.sources:
        if is_on_hub(source):
            pinned = source._replace(revision=commit_of(source))
            sources.append([*pinned, converter(source.converter).VERSION])
            continue
        files = []
        for file in source_files(source.path):
            files.append([file.name, file_sha256(file.path)])
        sources.append([*source._replace(path="")[1:], converter(source.converter).VERSION, files])
    return key_of("data", VERSION, data._replace(sources=())._asdict(), sources)


def train_key(plan: Plan, data: str, model_identity: str) -> str:
    """Changes with the rendered configuration, the data, the base model, and the versions of what trains."""
    return key_of("train", plan.files, plan.argv[1:], data, model_identity, package_versions())


def merge_key(train: str) -> str:
    """Changes with what was trained: it is merged into the base that it was trained on."""
    return key_of("merge", VERSION, train)


def evaluate_key(evaluation: Evaluation, split: str, train: str) -> str:
    """Changes with what is measured, with what a folder named there holds, and with what was trained."""
    folders = {name: with_contents(getattr(evaluation, name)) for name in ("blimp", "sentiment_model")}
    return key_of("evaluate", VERSION, evaluation._asdict() | folders, split, train)


def package_versions() -> dict[str, str]:
    """The versions of the packages that decide what training does."""
    found = {}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def finished(runs: Iterable[RunFolder], stage: str, key: str) -> RunFolder | None:
    """The newest run in which this stage was completed with this key."""
    for run in runs:
        if run.status.get("stages", {}).get(stage) == key and all((run / name).exists() for name in OUTPUTS[stage]):
            return run
    return None


def reuse(source: RunFolder, target: RunFolder, stage: str) -> None:
    """Give the target run the stage's outputs: hard links, which cost no space, or copies where the file system has none.

    Single files are copied: they are small, and a training writes into them, so that a link would change the source run too.
    """
    for name in OUTPUTS[stage]:
        if (source / name).is_dir():
            shutil.copytree(source / name, target / name, copy_function=link, dirs_exist_ok=True)
        else:
            shutil.copy2(source / name, target / name)
    for name in OPTIONAL_OUTPUTS.get(stage, ()):
        if (source / name).is_file():
            shutil.copy2(source / name, target / name)


def link(source: str, target: str) -> None:
    """A hard link, which costs no space, or a copy where the file system has none."""
    try:
        Path(target).hardlink_to(source)
    except OSError:
        shutil.copy2(source, target)


def previous_runs(root: Path, recipe_name: str) -> list[RunFolder]:
    """The recipe's earlier runs, newest first."""
    return all_runs(root, recipe_name)
