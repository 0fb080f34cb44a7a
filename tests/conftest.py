"""What tests share: real data where it is at hand, one tiny model, and the command line as a person starts it."""

import copy
import fcntl
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from .support.paths import ROOT
from .support.recipe_process import COMMAND, environment
from .support.tiny import RECIPE, write_run
from .support.warm_python import WarmPython

# No clock decides a test, and the same examples are tried each time; RECIPEKIT_FUZZ tries others.
settings.register_profile(
    "recipekit", deadline=None, derandomize="RECIPEKIT_FUZZ" not in os.environ, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("recipekit")

LOADING = ("run", "resume", "eval", "mask", "predict", "merge", "reproduce", "verify-resume")  # commands that import the trainer's packages
READ_AT_RUN_TIME = ("_TOKEN", "_KEY", "_AT_END")  # endings of environment variables that no package reads when it is imported
MINIMAL: dict[str, Any] = {
    "recipe": 1,
    "name": "small",
    "model": {"base_model": "some/model"},
    "data": {"type": "chat", "sources": [{"path": "rows.jsonl", "converter": "messages"}]},
    "training": {"adapter": "lora", "learning_rate": 0.0001},
}


def pytest_configure(config: pytest.Config) -> None:
    """With UPDATE_GOLDEN, write the schema of recipes first: a process reads it once, and documents and examples are made from it."""
    if os.environ.get("UPDATE_GOLDEN") and not hasattr(config, "workerinput"):
        written = subprocess.run([sys.executable, ROOT / "tests" / "support" / "recipe_schema.py"], capture_output=True, text=True)
        if written.returncode:
            raise pytest.UsageError(f"schemas/recipe.schema.json cannot be written:\n{written.stderr}")


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The source systems' real files, which are not part of the project."""
    path = Path(os.environ.get("RECIPEKIT_REALDATA") or ROOT.parent / "shared" / "realdata")
    if not path.is_dir():
        pytest.skip(f"real data is not at hand: {path}")
    return path


@pytest.fixture(scope="session")
def warm() -> Iterator[Callable[..., subprocess.CompletedProcess[str]]]:
    """Runs `python ...` as a fork of a process that has imported the trainer, which is started when it is first needed."""
    with ExitStack() as stack:
        process: list[WarmPython] = []

        def run(*arguments, **options):
            if not process:
                process.append(stack.enter_context(WarmPython()))
            return process[0].run(*map(str, arguments), **options)

        yield run


@pytest.fixture(scope="session")
def recipe(warm):
    """Runs `recipe ...` and returns what it printed and its exit code: as a process of its own, but for what loads a model and has no
    environment of its own but secrets, which is a fork of `warm`."""

    def run(*arguments, cwd=None, timeout=600, **env):
        environ = environment(**{"NO_COLOR": "1", **env})
        if arguments[0] in LOADING and all(name.endswith(READ_AT_RUN_TIME) for name in env) and find_spec("axolotl"):
            return warm(*COMMAND[1:], *arguments, cwd=cwd, env=environ, timeout=timeout)
        return subprocess.run([*COMMAND, *map(str, arguments)], cwd=cwd, env=environ, capture_output=True, text=True, timeout=timeout)

    return run


@pytest.fixture(scope="session")
def tiny_model(shared_folder, warm) -> Path:
    """A folder with a tiny Llama."""
    return built(warm, "llama", shared_folder / "tiny-llama")


@pytest.fixture(scope="session")
def tiny_gpt2(shared_folder, warm) -> Path:
    """A folder with a tiny GPT-2."""
    return built(warm, "gpt2", shared_folder / "tiny-gpt2")


@pytest.fixture(scope="session")
def tuned_run(shared_folder, tmp_path_factory, tiny_model, warm) -> Path:
    """The directory of a run of tests/support/tiny.py's RECIPE whose model is an adapter on the tiny Llama."""
    folder = tmp_path_factory.mktemp("runs") / "tiny" / "20260101-000000-aaaaaa"
    adapter = built(warm, "adapter", shared_folder / "adapter", tiny_model)
    return write_run(folder, RECIPE.format(model=tiny_model), adapter, tiny_model)


@pytest.fixture(scope="session")
def shared_folder(tmp_path_factory) -> Path:
    """A folder that all workers of pytest-xdist share: what is in it is made once and never changed."""
    own = tmp_path_factory.getbasetemp()
    folder = (own.parent if "PYTEST_XDIST_WORKER" in os.environ else own) / "shared"
    folder.mkdir(exist_ok=True)
    return folder


def built(warm, kind: str, folder: Path, *more: Path) -> Path:
    """The model, made by the first worker that needs it, in a process of its own: saving one imports DeepSpeed, whose own imports warn."""
    if find_spec("axolotl") is None:
        pytest.skip("training needs the extra [train]")
    with folder.with_suffix(".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            made = folder.with_suffix(".part")
            done = warm("-m", "tests.support.tiny", kind, made, *more)
            assert done.returncode == 0, done.stderr
            made.rename(folder)
    return folder


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Files that train come first: the longest work last would leave the other workers idle."""
    training = {item.path for item in items if item.get_closest_marker("train") or item.get_closest_marker("cluster")}
    items.sort(key=lambda item: item.path not in training)


@pytest.fixture(scope="session")
def minimal() -> Callable[..., dict[str, Any]]:
    """A small valid recipe's values, with changes given as {"section.key": value}; `...` takes the key away."""

    def build(changes: dict[str, Any] | None = None) -> dict[str, Any]:
        values = copy.deepcopy(MINIMAL)
        for name, value in (changes or {}).items():
            *sections, key = name.split(".")
            here = values
            for section in sections:
                here = here.setdefault(section, {})
            if value is ...:
                del here[key]
            else:
                here[key] = value
        return values

    return build


@pytest.fixture
def recipe_file(tmp_path: Path) -> Callable[..., Path]:
    """Writes a recipe's text, or a small valid one with further lines, and gives its path."""

    def write(text: str, name: str = "small.yml", folder: Path = tmp_path) -> Path:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / name
        path.write_text(text, encoding="utf-8")
        return path

    return write
