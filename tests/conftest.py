"""What several tests need: the real files of the source systems, where they are at hand."""

import os
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="session")
def realdata() -> Path:
    """The folder of real files: beside the repository, or where RECIPEKIT_REALDATA says."""
    path = Path(os.environ.get("RECIPEKIT_REALDATA") or ROOT.parent / "shared" / "realdata")
    if not path.is_dir():
        pytest.skip(f"real data is not at hand: {path}")
    return path
