"""The notebook of the quickstart: without outputs in the repository, and run to its end from a folder of its own."""

import json
import os
import shutil
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

from .support.paths import ROOT
from .support.recipe_process import environment

NOTEBOOK = ROOT / "docs" / "quickstart.ipynb"
# Whoever runs the tests has installed the package; %pip would do it again.
EXECUTE = """if True:
    import sys, nbclient, nbformat, traitlets.config
    notebook = nbformat.read(sys.argv[1], 4)
    nbformat.validate(notebook)
    notebook.cells = [cell for cell in notebook.cells if "install" not in cell.metadata.get("tags", ())]
    config = traitlets.config.Config(KernelManager={"transport": "ipc"})  # a port of its choice may be another's when the kernel takes it
    nbclient.NotebookClient(notebook, timeout=None, kernel_name="python3", config=config).execute()
    nbformat.write(notebook, sys.argv[1])
"""


def cells(path: Path) -> dict[str, dict]:
    """The cells of code by their name."""
    return {cell["id"]: cell for cell in json.loads(path.read_text(encoding="utf-8"))["cells"] if cell["cell_type"] == "code"}


def test_no_output_is_stored() -> None:
    found = cells(NOTEBOOK)
    assert list(found) == ["install", "check", "plan", "run", "metrics", "report", "predict"]
    assert all(cell["outputs"] == [] and cell["execution_count"] is None for cell in found.values())


@pytest.mark.train
@pytest.mark.long
@pytest.mark.skipif(find_spec("nbclient") is None, reason="needs the extra [dev]: nbclient")
def test_it_runs_from_the_check_to_a_prediction(tmp_path: Path) -> None:
    here = Path(shutil.copy(NOTEBOOK, tmp_path))
    programs = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    env = environment(PATH=programs, PYTHONSAFEPATH="")  # "" is unset: the kernel looks for its own modules in its folder
    done = subprocess.run([sys.executable, "-c", EXECUTE, here.name], cwd=tmp_path, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-3000:]
    found = cells(here)
    assert "no problems" in printed(found["check"], "stderr") and "54" in printed(found["plan"], "stdout")
    assert "perplexity" in printed(found["metrics"], "stdout")
    assert len(printed(found["run"], "stderr").splitlines()) < 1000, "a line for each frame of a bar"
    assert (tmp_path / printed(found["run"], "stdout").split()[-1]).is_file()
    assert json.loads(printed(found["predict"], "stdout").splitlines()[-1])["prediction"]["reply"]


def printed(cell: dict, stream: str) -> str:
    """What the cell has printed to stdout or stderr."""
    return "".join(line for output in cell["outputs"] if output.get("name") == stream for line in output["text"])
