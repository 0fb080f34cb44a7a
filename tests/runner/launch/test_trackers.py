"""Trackers: Axolotl's own keys, everything in the run directory, no secret in any file; a real training with all of them."""

import json
from importlib.util import find_spec
from pathlib import Path

import pytest
from recipekit.runner.launch import trackers
from recipekit.runner.launch.trackers import ENVIRONMENT, require_trackers, tracker_commands, tracker_environment, tracker_keys
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Recipe

from ...support.tiny import write_recipe

SECRETS = {"WANDB_API_KEY": "c0ffee" * 6 + "1234", "MLFLOW_TRACKING_PASSWORD": "planted-password", "HF_TOKEN": "hf_" + "pLaNtEd" * 5}


@pytest.fixture
def recipe_with(minimal):
    return lambda *names: Recipe.from_values(minimal({"training.trackers": list(names)}))


def test_runs_go_under_the_recipes_name_and_stay_here(recipe_with):
    keys = tracker_keys(recipe_with("wandb", "mlflow", "trackio", "tensorboard"))
    assert keys == {
        "use_wandb": True, "wandb_project": "small", "use_mlflow": True, "mlflow_experiment_name": "small",
        "mlflow_tracking_uri": "sqlite:///mlflow.db", "use_trackio": True, "use_tensorboard": True,
    }  # fmt: skip
    assert tracker_keys(recipe_with()) == {}


def test_a_project_and_a_run_name_reach_every_tracker_that_has_them(minimal):
    names = {"training.tracker_project": "emoji", "training.tracker_run_name": "first try"}
    recipe = Recipe.from_values(minimal({"training.trackers": ["wandb", "mlflow", "trackio", "tensorboard"], **names}))
    found = {key: value for key, value in tracker_keys(recipe).items() if value in names.values()}
    assert found == {
        "wandb_project": "emoji", "wandb_name": "first try", "mlflow_experiment_name": "emoji", "mlflow_run_name": "first try",
        "trackio_run_name": "first try",
    }  # fmt: skip


def test_nothing_is_sent_by_default():
    env = tracker_environment(("wandb", "mlflow", "trackio"))
    assert env["WANDB_MODE"] == "offline" and env["MLFLOW_DISABLE_TELEMETRY"] == "true" and env["TRACKIO_DIR"] == "trackio"
    assert tracker_environment(()) == {}


def test_the_command_that_shows_or_uploads_what_was_tracked_is_given(recipe_with):
    run = Path("runs/my emoji/1")
    assert tracker_commands(recipe_with("wandb", "tensorboard"), run) == [
        "wandb sync 'runs/my emoji/1'/wandb/offline-run-*", "tensorboard --logdir 'runs/my emoji/1'/tensorboard",
    ]  # fmt: skip
    online = recipe_with("wandb", "mlflow")._replace(axolotl={"wandb_mode": "online", "mlflow_tracking_uri": "http://tracker"})
    assert tracker_commands(online, run) == []


def test_a_tracker_that_is_not_installed_is_reported_before_training(recipe_with, monkeypatch):
    monkeypatch.setattr(trackers, "find_spec", lambda name: None if name == "mlflow" else find_spec("json"))
    with pytest.raises(UserError, match="not installed: mlflow") as caught:
        require_trackers(recipe_with("mlflow", "tensorboard"))
    assert caught.value.problems[0].hint == "pip install mlflow"
    require_trackers(recipe_with("tensorboard"))


def test_every_tracker_of_the_schema_is_known():
    from recipekit.schemas.json_schema import schema, subschema

    assert set(subschema(schema("recipe"), ("training", "trackers"))["items"]["enum"]) == set(ENVIRONMENT)


@pytest.mark.train
@pytest.mark.long
def test_trackers_write_locally_and_no_secret(tmp_path, tiny_model, recipe):
    write_recipe(tmp_path, tiny_model)
    installed = [name for name in ENVIRONMENT if find_spec(name)]
    assert {"tensorboard", "wandb", "trackio"} <= set(installed), "they come with Axolotl"
    settings = [f"training.trackers=[{', '.join(installed)}]", "training.max_steps=4", "evaluation.max_rows=1",
                "training.tracker_project=emoji-project", "training.tracker_run_name=first-try"]  # fmt: skip
    done = recipe("run", "tiny.yml", "--json", *(part for setting in settings for part in ("--set", setting)), cwd=tmp_path, **SECRETS)
    assert done.returncode == 0, done.stderr
    run = tmp_path / json.loads(done.stdout)["run"]
    assert list((run / "tensorboard").rglob("events.out.tfevents.*"))
    assert list((run / "wandb").glob("offline-run-*/*.wandb"))
    (written,) = (run / "wandb").glob("offline-run-*/*.wandb")
    assert b"emoji-project" in written.read_bytes() and b"first-try" in written.read_bytes()
    assert list((run / "trackio").glob("*.db"))
    assert any(b"first-try" in path.read_bytes() for path in (run / "trackio").glob("*.db*"))
    assert "mlflow" not in installed or (run / "mlflow.db").is_file()
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert [path for path in files if any(secret.encode() in path.read_bytes() for secret in SECRETS.values())] == []
