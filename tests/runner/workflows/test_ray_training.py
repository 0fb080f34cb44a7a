"""A real worker of Ray Train runs our plug-in and its callback: Axolotl's own Ray path, on a CPU, with a tiny model."""

import json
import os
import subprocess
import sys
from importlib.util import find_spec

import pytest
import yaml
from recipekit.runner.launch.axolotl_config import RAY_FOLDER
from recipekit.runner.launch.plan import CONFIG
from recipekit.runner.runtime.checkpoints import TRAINED, newest
from recipekit.runner.runtime.progress import read_lines
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.stages.train import publish_model
from recipekit.runner.workflows.resume_check import prepare
from recipekit.schemas.recipe import load_recipe

from ...support.paths import ROOT
from ...support.tiny import write_recipe

pytestmark = [
    pytest.mark.train,
    pytest.mark.long,
    pytest.mark.cluster,
    pytest.mark.skipif(find_spec("ray") is None, reason="needs the extra [ray]"),
]
SETTINGS = ("training.max_steps=4", "training.eval_steps=2", "training.save_steps=2")


@pytest.fixture(scope="module")
def run(tmp_path_factory, tiny_model):
    """The folder of a training that Ray's worker has carried out, and of the same one without Ray."""
    folder = tmp_path_factory.mktemp("ray_training")
    loaded = load_recipe(str(write_recipe(folder, tiny_model)), SETTINGS)
    plain = prepare(loaded, folder, folder / "plain", lambda event: None)
    under_ray = plain.copy_to(folder / "run")
    plain.train()
    rendered = yaml.safe_load((under_ray.folder / CONFIG).read_text())
    rendered |= {"use_ray": True, "ray_num_workers": 1, "resources_per_worker": {"GPU": 1}, "output_dir": RAY_FOLDER}
    (under_ray.folder / CONFIG).write_text(yaml.safe_dump(rendered))
    argv = [sys.executable, ROOT / "tests" / "support" / "ray_training.py"]
    environment = {**os.environ, **under_ray.plan.env}
    done = subprocess.run(argv, cwd=under_ray.folder, env=environment, capture_output=True, text=True, timeout=900, check=False)
    assert done.returncode == 0, (done.stdout + done.stderr)[-4000:]
    return under_ray.folder, plain.folder


def losses(folder):
    return [line["loss"] for line in read_lines(folder / "metrics.jsonl") if "loss" in line]


def test_a_worker_of_ray_trains_as_a_process_of_its_own_does(run):
    under_ray, plain = run
    assert len(losses(under_ray)) == 4 and losses(under_ray) == losses(plain)
    events = [json.loads(line) for line in (under_ray / "progress.jsonl").read_text().splitlines()]
    assert TRAINED in [event["event"] for event in events]


def test_its_checkpoints_are_sealed_and_hold_nothing_of_rays(run):
    checkpoints = run[0] / "checkpoints"
    assert newest(checkpoints) == (checkpoints / "checkpoint-4", [])
    of_ray = [path for path in run[0].rglob("*") if "TorchTrainer" in path.name or "ray_train_run" in path.name]
    assert of_ray and all(path.relative_to(run[0]).parts[0] == RAY_FOLDER for path in of_ray)


def test_its_model_holds_nothing_of_rays(run):
    under_ray, plain = run
    publish_model(RunFolder(under_ray))
    publish_model(RunFolder(plain))
    names = [sorted(str(path.relative_to(folder / "model")) for path in (folder / "model").rglob("*")) for folder in run]
    assert names[0] == names[1]
