"""The model that is trained: the given one, one of its size with random weights, or a tiny one of its architecture."""

import json
import os
import subprocess
import sys
from pathlib import Path

from session import HERE

FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.jinja"]


def prepare_model(name: str, folder: Path, tiny: bool, random_weights: bool) -> str:
    """Return what to train: a folder, or a name on the hub as it was given."""
    if not (tiny or random_weights):
        if Path(name).is_dir():
            return str(Path(name).resolve())
        from huggingface_hub import snapshot_download

        snapshot_download(name, allow_patterns=FILES)  # now, and not within the time of the first measurement that trains
        return name
    from recipekit.runner.models.known_config import public_models
    from recipekit.runner.models.resolve import resolve_model
    from recipekit.schemas.sections import Model

    small = resolve_model(Model(f"tiny:{name}"), folder, smoke=True).path
    if tiny:
        return small
    target = folder / "weights"
    if not (target / "config.json").is_file():
        given = json.dumps({"config": public_models()[name]["config"], "tokenizer": small})
        subprocess.run([sys.executable, HERE / "weights.py", given, target], check=True, env={**os.environ, "PYTHONSAFEPATH": "1"})
    return str(target)
