"""Every file in tests/examples/recipes is a test by being there: valid ones have no problem, invalid ones have those in the .err file next to them.

UPDATE_GOLDEN=1 writes the .err files; read the difference before committing it.
"""

from pathlib import Path

import pytest
from recipekit.schemas.recipe import check_recipe

from .support.golden import golden

EXAMPLES = Path(__file__).parent / "examples" / "recipes"
VALID = sorted(EXAMPLES.glob("valid/*.yml"))
INVALID = sorted(EXAMPLES.glob("invalid/*.yml"))


def messages(path: Path) -> str:
    return "".join(f"{problem}\n" for problem in check_recipe(Path(path.name)))


@pytest.mark.parametrize("path", VALID, ids=lambda path: path.stem)
def test_a_valid_example_has_no_problem(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    assert messages(path) == ""


@pytest.mark.parametrize("path", INVALID, ids=lambda path: path.stem)
def test_an_invalid_example_has_its_expected_problems(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(path.parent)
    assert golden(path.with_suffix(".err"), messages(path)) == messages(path) != ""


def test_no_err_file_is_left_over() -> None:
    assert {path.stem for path in EXAMPLES.glob("invalid/*.err")} == {path.stem for path in INVALID}
