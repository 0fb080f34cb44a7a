"""A matrix is the recipes that its values make, in order, each with a name of its own; what is wrong in one is reported at its value."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.matrix import combination_name
from recipekit.schemas.recipe import check_recipe, load_recipe, load_sweep
from recipekit.schemas.yaml_writing import to_yaml

Minimal = Callable[..., dict[str, Any]]
Write = Callable[..., Path]
GRID = {"training.learning_rate": [1e-4, 2.5e-4], "training.lora_r": [8, 16]}


@pytest.fixture
def write(recipe_file: Write, minimal: Minimal) -> Callable[..., Path]:
    """A small recipe with a matrix."""

    def build(matrix: dict[str, list[Any]], **changes: Any) -> Path:
        return recipe_file(to_yaml(minimal(changes) | {"matrix": matrix}), "sweep.yml")

    return build


def test_every_combination_is_a_recipe(write: Callable[..., Path]) -> None:
    sweep = load_sweep(str(write(GRID)))
    assert [loaded.recipe.name for loaded, _ in sweep] == [
        "small-learning_rate-1e-4-lora_r-8", "small-learning_rate-1e-4-lora_r-16",
        "small-learning_rate-2_5e-4-lora_r-8", "small-learning_rate-2_5e-4-lora_r-16",
    ]  # fmt: skip
    for loaded, values in sweep:
        training = loaded.recipe.training
        assert (training.learning_rate, training.lora_r) == tuple(values.values())
        assert loaded.recipe.matrix == {} and "matrix" not in loaded.document.data


def test_an_entry_sets_several_keys_together(write: Callable[..., Path]) -> None:
    small = {"model.base_model": "a/small-1B", "model.pad_token": "<pad>", "training.learning_rate": 2e-4}
    path = write({"size": [small, {"model.base_model": "b/large-7B", "training.learning_rate": 1e-4}], "training.lora_r": [8, 16]})
    sweep = load_sweep(str(path))
    assert [one.recipe.name for one, _ in sweep] == [
        "small-size-small-1b-lora_r-8", "small-size-small-1b-lora_r-16", "small-size-large-7b-lora_r-8", "small-size-large-7b-lora_r-16",
    ]  # fmt: skip
    found = [(one.recipe.model.base_model, one.recipe.model.pad_token, one.recipe.training.learning_rate) for one, _ in sweep[::2]]
    assert found == [("a/small-1B", "<pad>", 2e-4), ("b/large-7B", None, 1e-4)]
    assert sweep[0][1] == small | {"training.lora_r": 8}
    line = next(number for number, text in enumerate(path.read_text().splitlines(), 1) if "model.pad_token" in text)
    assert str(sweep[0][0].document.location(("model", "pad_token"))).startswith(f"{path}:{line}:")


def test_a_recipe_without_a_matrix_is_not_a_sweep(recipe_file: Write, minimal: Minimal) -> None:
    assert load_sweep(str(recipe_file(to_yaml(minimal())))) == []


def test_the_place_of_a_value_is_that_in_the_matrix(write: Callable[..., Path]) -> None:
    path = write({"training.lora_r": [8, 16]})
    loaded, _ = load_sweep(str(path))[1]
    line = path.read_text().splitlines().index("  - 16") + 1
    assert str(loaded.document.location(("training", "lora_r"))) == f"{path}:{line}:5"


def test_a_matrix_has_a_smoke_run_for_each_recipe(write: Callable[..., Path]) -> None:
    sweep = load_sweep(str(write(GRID)), smoke=True)
    assert [(one.is_smoke, one.recipe.training.max_steps, one.recipe.training.lora_r) for one, _ in sweep] == [
        (True, 4, 8),
        (True, 4, 16),
    ] * 2


def test_a_setting_reaches_every_recipe_and_the_matrix(write: Callable[..., Path]) -> None:
    sweep = load_sweep(str(write({"training.lora_r": [8]})), ("training.seed=7", "matrix={training.lora_r: [4, 2]}"))
    assert [(one.recipe.training.seed, one.recipe.training.lora_r) for one, _ in sweep] == [(7, 4), (7, 2)]


def test_paths_are_relative_to_the_recipe(write: Callable[..., Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "elsewhere").mkdir()
    path = write({"data.sources.0.path": ["a/x.jsonl", "y.jsonl"]})
    monkeypatch.chdir(tmp_path / "elsewhere")
    sweep = load_sweep(str(path))
    assert [one.recipe.data.sources[0].path for one, _ in sweep] == [str(tmp_path / "a" / "x.jsonl"), str(tmp_path / "y.jsonl")]
    assert [one.recipe.name for one, _ in sweep] == ["small-path-x", "small-path-y_jsonl"]


@pytest.mark.parametrize(
    ("matrix", "message"),
    [
        ({"training.lora_rr": [1, 2]}, "unknown key 'lora_rr' in training\n    hint: did you mean 'lora_r'?"),
        ({"training.lora_r": [8, "x"]}, "training.lora_r: expected a whole number, got 'x'"),
        ({"training.warmup_ratio": [0.1, 1]}, "training.warmup_ratio: the whole run is warm-up"),
        ({"size": [{"model.base_model": "a/b"}, {"base_model": "a/c"}]}, "matrix: 'base_model' is not a section.key"),
        ({"size": [{"training.lora_r": 4}], "training.lora_r": [8]}, "matrix: 'training.lora_r' is also set by 'size'"),
        ({"size": [{"training.lora_r": "x"}]}, "training.lora_r: expected a whole number, got 'x'"),
        ({"size": [{}]}, "matrix: 'size' is not a section.key"),
        ({"lora_r": [8]}, "matrix: 'lora_r' is not a section.key"),
        ({"name.x": [8]}, "matrix: 'name.x' is not a section.key"),
        ({"training.": [8]}, "matrix: 'training.' is not a section.key"),
        ({"data.sources.3.weight": [1]}, "data.sources has no item '3'"),
        ({"training.lora_r": 8}, "matrix.training.lora_r: expected a list, got 8"),
        ({"training.lora_r": []}, "matrix.training.lora_r: needs at least 1 item"),
        ({"training.lora_r": [8, 8]}, "matrix.training.lora_r: duplicate item"),
        ({"training.seed": list(range(20)), "training.lora_r": list(range(1, 20))}, "380 combinations; the limit is 256"),
    ],
)
def test_check_and_load_report_a_problem_once(write: Callable[..., Path], matrix: dict, message: str) -> None:
    path = write(matrix)
    (problem,) = check_recipe(path)
    assert message in str(problem) and str(problem.location).startswith(f"{path}:")
    with pytest.raises(UserError) as caught:
        load_sweep(str(path))
    assert caught.value.problems == [problem]


def test_a_valid_matrix_passes_the_check(write: Callable[..., Path]) -> None:
    assert check_recipe(write(GRID)) == []
    assert load_recipe(str(write(GRID))).recipe.matrix == GRID


def test_names_stay_short_and_different() -> None:
    values = {f"training.a_rather_long_key_{index}": index for index in range(6)}
    names = {combination_name("sweep", values), combination_name("sweep", values | {"training.a_rather_long_key_5": 7})}
    assert len(names) == 2 and all(len(name) == 63 for name in names)


def test_values_that_read_the_same_in_a_name_still_make_two(write: Callable[..., Path]) -> None:
    names = [one.recipe.name for one, _ in load_sweep(str(write({"model.base_model": ["a/model", "b/model"]})))]
    assert names[0] == "small-base_model-model" and names[1].startswith("small-base_model-model-") and len(set(names)) == 2
