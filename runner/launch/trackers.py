"""Trackers in addition to the run directory: TensorBoard, Weights & Biases, MLflow and trackio, through Axolotl's own keys.

Everything stays in the run directory unless the recipe's pass-through keys say otherwise: `axolotl: {wandb_mode: online}`,
`mlflow_tracking_uri`, `trackio_space_id`. Keys and passwords come only from the environment.
"""

import shlex
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from ...schemas.base.errors import UserError
from ...schemas.sections import Recipe

# Each tracker is a package of the same name.
ENVIRONMENT: dict[str, dict[str, str]] = {
    "tensorboard": {"TENSORBOARD_LOGGING_DIR": "tensorboard"},
    "wandb": {"WANDB_MODE": "offline", "WANDB_DISABLE_CODE": "true", "WANDB_DISABLE_GIT": "true", "WANDB_ERROR_REPORTING": "false",
              "WANDB_CONSOLE": "off"},  # it would record what the trainer prints, with secrets: train.log has it without
    "mlflow": {"MLFLOW_DISABLE_TELEMETRY": "true"},
    "trackio": {"TRACKIO_DIR": "trackio"},
}  # fmt: skip

ELSEWHERE = {"wandb": "wandb_mode", "mlflow": "mlflow_tracking_uri", "trackio": "trackio_space_id"}  # keys that name another place


def tracker_keys(recipe: Recipe) -> dict[str, Any]:
    """Return Axolotl's keys for the recipe's trackers; the project is the recipe's name unless it sets one."""
    training = recipe.training
    project, name = training.tracker_project or recipe.name, training.tracker_run_name
    keys: dict[str, dict[str, Any]] = {
        "tensorboard": {"use_tensorboard": True},
        "wandb": {"use_wandb": True, "wandb_project": project, "wandb_name": name},
        "mlflow": {"use_mlflow": True, "mlflow_experiment_name": project, "mlflow_run_name": name,
                   "mlflow_tracking_uri": "sqlite:///mlflow.db"},
        "trackio": {"use_trackio": True, "trackio_run_name": name},  # in transformers, all trackio runs share one project
    }  # fmt: skip
    return {key: value for tracker in training.trackers for key, value in keys[tracker].items() if value is not None}


def tracker_environment(trackers: tuple[str, ...]) -> dict[str, str]:
    """Return the training process's environment: where trackers write, and settings that keep them from sending anything."""
    return {name: value for tracker in trackers for name, value in ENVIRONMENT[tracker].items()}


def tracker_commands(recipe: Recipe, run: Path) -> list[str]:
    """Return the command that shows or uploads what each tracker wrote into the run's directory; none where a pass-through key names
    another place."""
    folder = shlex.quote(str(run))
    commands = {
        "tensorboard": f"tensorboard --logdir {folder}/tensorboard",
        "wandb": f"wandb sync {folder}/wandb/offline-run-*",
        "mlflow": f"mlflow ui --backend-store-uri sqlite:///{folder}/mlflow.db",
        "trackio": f"TRACKIO_DIR={folder}/trackio trackio show",
    }
    return [commands[tracker] for tracker in recipe.training.trackers if ELSEWHERE.get(tracker) not in recipe.axolotl]


def require_trackers(recipe: Recipe) -> None:
    """Raise UserError for a tracker whose package is not installed: Axolotl would silently skip it."""
    absent = [tracker for tracker in recipe.training.trackers if find_spec(tracker) is None]
    if absent:
        raise UserError(
            f"training.trackers needs packages that are not installed: {', '.join(absent)}", hint=f"pip install {' '.join(absent)}"
        )
