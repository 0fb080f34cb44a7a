"""The training of a recipe without its evaluation: python -m tests.support.training RECIPE FOLDER SETTINGS CONFIG

SETTINGS is a JSON list of KEY=VALUE, CONFIG a JSON object of changes to the rendered Axolotl configuration.
"""

import json
import sys
from pathlib import Path

import yaml
from recipekit.runner.launch.plan import CONFIG
from recipekit.runner.workflows.resume_check import prepare
from recipekit.schemas.recipe import load_recipe


def main(recipe: str, folder: str, settings: str, changes: str) -> None:
    """Write the folder as `recipe run` does before it trains, and train."""
    trial = prepare(load_recipe(recipe, tuple(json.loads(settings))), Path.cwd(), Path(folder), lambda event: None)
    config = yaml.safe_load((trial.folder / CONFIG).read_text()) | json.loads(changes)
    (trial.folder / CONFIG).write_text(yaml.safe_dump(config))
    trial.train()


if __name__ == "__main__":
    main(*sys.argv[1:])
