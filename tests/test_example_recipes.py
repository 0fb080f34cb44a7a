"""Every file in tests/examples/recipes is a test by being there: valid ones have no problem, invalid ones have those in the .err beside.

UPDATE_GOLDEN=1 writes the .err files; read the difference before committing it.
"""

import os
from pathlib import Path

import pytest
from recipekit.schemas.recipe import check_recipe

EXAMPLES = Path(__file__).parent / "examples" / "recipes"
VALID = sorted(EXAMPLES.glob("valid/*.yml"))
INVALID = sorted(EXAMPLES.glob("invalid/*.yml"))


def told(path: Path) -> str:
    return "".join(f"{problem}\n" for problem in check_recipe(Path(path.name)))


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_example_has_no_problem(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    assert told(path) == ""


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_an_invalid_example_has_its_expected_problems(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    golden = path.with_suffix(".err")
    if os.environ.get("UPDATE_GOLDEN"):
        golden.write_text(told(path), "utf-8")
    assert told(path) == golden.read_text("utf-8") != ""


def test_no_err_file_is_left_over() -> None:
    assert {path.stem for path in EXAMPLES.glob("invalid/*.err")} == {path.stem for path in INVALID}
