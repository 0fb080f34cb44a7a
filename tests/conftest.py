"""What tests share: real data where it is at hand, one tiny model, and the command line as a person starts it."""

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The source systems' real files, which are not part of the project."""
    path = Path(os.environ.get("RECIPEKIT_REALDATA") or ROOT.parent / "shared" / "realdata")
    if not path.is_dir():
        pytest.skip(f"real data is not at hand: {path}")
    return path


@pytest.fixture(scope="session")
def recipe():
    """Runs `recipe ...` as a process of its own and returns what it printed and its exit code."""

    def run(*arguments, cwd=None, timeout=600, **env):
        argv = [sys.executable, "-c", "from recipekit.runner.cli import main; main()", *map(str, arguments)]
        environment = {**os.environ, "RECIPEKIT_DEVICE": "cpu", "NO_COLOR": "1", "PYTHONSAFEPATH": "1", **env}
        return subprocess.run(argv, cwd=cwd, env=environment, capture_output=True, text=True, timeout=timeout)

    return run


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory) -> Path:
    """A folder with a tiny Llama, made once."""
    if find_spec("torch") is None:
        pytest.skip("training needs the extra [train]")
    folder = tmp_path_factory.mktemp("model") / "tiny-llama"
    subprocess.run([sys.executable, ROOT / "tests" / "tiny.py", folder], check=True, capture_output=True)
    return folder
