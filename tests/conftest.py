"""What tests of several folders share."""

import copy
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent
MINIMAL: dict[str, Any] = {
    "recipe": 1,
    "name": "small",
    "model": {"base_model": "some/model"},
    "data": {"type": "chat", "sources": [{"path": "rows.jsonl", "converter": "messages"}]},
    "training": {"adapter": "lora", "learning_rate": 0.0001},
}


@pytest.fixture(scope="session")
def realdata() -> Path:
    path = Path(os.environ.get("RECIPEKIT_REALDATA") or ROOT.parent / "shared" / "realdata")
    return path if path.is_dir() else pytest.skip(f"real data is not at hand: {path}")


@pytest.fixture
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
