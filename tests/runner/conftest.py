"""Running the command line as a person does."""

import gc
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import pytest
from recipekit.runner.cli.main import main
from recipekit.runner.launch.axolotl_config import RenderedData
from recipekit.runner.launch.plan import plan
from recipekit.runner.runtime.machine import Machine
from recipekit.schemas.sections import Recipe

from ..support.browser import axe, browser, chromium, serious  # noqa: F401 - fixtures
from ..support.single_process import ROWS, SAME, losses, settings
from ..support.tiny import write_recipe


class Outcome(NamedTuple):
    code: int
    out: str
    err: str


GPU = Machine("cuda", 1, "a GPU", 24 << 30, True)


@pytest.fixture
def planned(minimal):
    """The plan of a small recipe with changes, for a GPU."""

    def build(changes=None, machine=GPU):
        recipe = Recipe.from_values(minimal(changes))
        return plan(recipe, RenderedData(), machine, recipe.model.base_model)

    return build


@pytest.fixture
def nvidia_smi(tmp_path, monkeypatch):
    """Puts this script as nvidia-smi in front of the path."""

    def put(script):
        path = tmp_path / "nvidia-smi"
        path.write_text(script)
        path.chmod(0o755)
        monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
        for name in ("RECIPEKIT_DEVICE", "CUDA_VISIBLE_DEVICES", "CUDA_DEVICE_ORDER"):
            monkeypatch.delenv(name, raising=False)

    return put


@pytest.fixture
def command_line(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> Callable[..., Outcome]:
    """`command_line("check", "x.yml")` in this process: the exit code, stdout and stderr."""

    def run(*arguments: str) -> Outcome:
        monkeypatch.setattr(sys, "argv", ["recipe", *map(str, arguments)])
        handler = signal.getsignal(signal.SIGTERM)
        with pytest.raises(SystemExit) as ended:
            main()
        gc.unfreeze()
        signal.signal(signal.SIGTERM, handler)
        out, err = capfd.readouterr()
        assert isinstance(ended.value.code, int)
        return Outcome(ended.value.code, out, err)

    return run


@pytest.fixture(scope="session")
def losses_of_one(tmp_path_factory, tiny_model, recipe) -> dict[int, float]:
    """Step -> loss of the training that one process does alone."""
    folder = tmp_path_factory.mktemp("alone")
    write_recipe(folder, tiny_model, rows=ROWS)
    done = recipe("run", "tiny.yml", "--json", *settings(*SAME), cwd=folder)
    assert done.returncode == 0, done.stderr
    return losses(folder / json.loads(done.stdout)["run"])


@pytest.fixture(scope="session")
def trained(tmp_path_factory, tiny_model, recipe) -> Path:
    """The directory of a finished run of four steps, with two rows' evaluation; its model is a copy that a test may change and mend."""
    folder = tmp_path_factory.mktemp("again")
    model = shutil.copytree(tiny_model, folder / "model")
    write_recipe(folder, model)
    settings = ["--set", "training.max_steps=4", "--set", "evaluation.max_rows=2"]
    done = recipe("run", "tiny.yml", "--json", *settings, cwd=folder)
    assert done.returncode == 0, done.stderr
    return folder / json.loads(done.stdout)["run"]
