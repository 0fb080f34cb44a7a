"""recipekit's side: recipekit_side.py FOLDER --set KEY=VALUE ...: convert and train emogpt_qwen in FOLDER as `recipe run` does."""

import sys
from pathlib import Path
from typing import Any

from recipekit.runner.workflows.resume_check import prepare
from recipekit.schemas.recipe import load_recipe


def listen(event: dict[str, Any]) -> None:
    """Print what the trainer says of itself."""
    print(event, flush=True)


folder = Path(sys.argv[1])
loaded = load_recipe("emogpt_qwen", tuple(part for part in sys.argv[2:] if part != "--set"))
prepare(loaded, folder.parent, folder, listen).train()
