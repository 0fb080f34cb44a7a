"""What is installed: every folder with Python in it, every schema and every recipe."""

import tomllib

import pytest

from .support.paths import ROOT

SETTINGS = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["setuptools"]


def test_every_folder_of_the_package_is_listed() -> None:
    folders = {path.parent for name in ("converters", "recipes", "runner", "schemas") for path in (ROOT / name).rglob("*.py")}
    assert sorted(SETTINGS["packages"]) == sorted("recipekit." + ".".join(folder.relative_to(ROOT).parts) for folder in folders)


@pytest.mark.parametrize("name", ["recipes", "runner", "schemas"])
def test_every_data_file_is_listed(name: str) -> None:
    folder = ROOT / name
    patterns = SETTINGS["package-data"][f"recipekit.{name}"]
    wanted = {path for path in folder.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")}
    assert wanted - {path for pattern in patterns for path in folder.glob(pattern)} == set()
