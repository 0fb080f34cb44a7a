"""A recipe that starts from another's model: when that one must run first, which of its runs will do, and what is refused."""

from pathlib import Path

import pytest
from recipekit.runner.runtime.run_files import STATUS
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.stages.prerequisite import needed, unfinished
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.recipe import LoadedRecipe, load_recipe
from recipekit.schemas.yaml_writing import to_yaml


@pytest.fixture
def write(recipe_file, minimal):
    """Writes a small recipe that starts from a model, and trains every weight unless told otherwise."""

    def build(name: str, base_model: str, adapter: str = "none") -> Path:
        values = minimal({"name": name, "model.base_model": base_model, "training.adapter": adapter})
        return recipe_file(to_yaml(values), f"{name}.yml")

    return build


@pytest.fixture
def second(write) -> LoadedRecipe:
    """A recipe that starts from `first`, in the same folder."""
    write("first", "some/model")
    return load_recipe(str(write("second", "run:first")))


def finished(root: Path, loaded: LoadedRecipe, name: str, state: str = "done", **facts) -> RunFolder:
    run = RunFolder(root / loaded.recipe.name / name)
    run.write(STATUS, {"state": state, **facts})
    (run / "recipe.yml").write_text(to_yaml(loaded.document.data))
    (run / "model").mkdir()
    (run / "model" / "config.json").write_text("{}")
    return run


def test_a_model_without_run_needs_no_other_recipe(write, tmp_path):
    assert needed(load_recipe(str(write("alone", "some/model"))), tmp_path) is None


def test_the_recipe_next_to_is_needed_until_it_has_a_finished_run(second, tmp_path):
    first = needed(second, tmp_path / "runs")
    assert first is not None and (first.recipe.name, first.path) == ("first", second.path.parent / "first.yml")
    finished(tmp_path / "runs", first, "1", "failed")
    assert needed(second, tmp_path / "runs") is not None
    finished(tmp_path / "runs", first, "2")
    assert needed(second, tmp_path / "runs") is None


def test_a_smoke_runs_model_is_not_the_real_ones_and_the_other_way_round(second, tmp_path):
    smoke_run = load_recipe(str(second.path), smoke=True)
    first = needed(smoke_run, tmp_path / "runs")
    assert first is not None and first.is_smoke
    finished(tmp_path / "runs", load_recipe(str(first.path)), "1")
    assert needed(smoke_run, tmp_path / "runs") is not None
    finished(tmp_path / "runs", first, "2", smoke=True)
    assert needed(smoke_run, tmp_path / "runs") is None


def test_a_smoke_run_of_an_older_recipe_does_not_count(second, tmp_path, write):
    smoke_run = load_recipe(str(second.path), smoke=True)
    first = needed(smoke_run, tmp_path / "runs")
    assert first is not None
    finished(tmp_path / "runs", first, "1", smoke=True)
    write("first", "other/model")
    assert needed(smoke_run, tmp_path / "runs") is not None


def test_a_shipped_recipe_is_found_by_its_name(tmp_path):
    first = needed(load_recipe("alpaca_gpt2"), tmp_path)
    assert first is not None and first.recipe.name == "babylm_gpt2"
    medium = needed(load_recipe("alpaca_gpt2", ("model.base_model=run:babylm_gpt2_medium",)), tmp_path)
    assert medium is not None and medium.recipe.name == "babylm_gpt2_medium"


def test_recipes_that_start_from_each_other_are_refused(write, tmp_path):
    write("hen", "run:egg")
    path = write("egg", "run:hen")
    with pytest.raises(UserError, match="recipes start from each other: egg <- hen <- egg"):
        needed(load_recipe(str(path)), tmp_path)


def test_a_recipe_that_makes_an_adapter_is_not_a_first_stage(write, tmp_path):
    write("first", "some/model", "lora")
    with pytest.raises(UserError, match=r"run:first makes an adapter \(adapter: lora\)"):
        needed(load_recipe(str(write("second", "run:first"))), tmp_path)


def test_a_missing_recipe_is_reported_with_its_location(write, tmp_path):
    path = write("second", "run:absent_recipe")
    with pytest.raises(UserError, match="run:absent_recipe has no finished full-parameter run") as caught:
        needed(load_recipe(str(path)), tmp_path)
    assert caught.value.problems[0].location.file == str(path)


def test_only_the_newest_run_of_the_same_recipe_is_resumed(second, tmp_path):
    root = tmp_path / "runs"
    assert unfinished(second, root) is None
    left = finished(root, second, "1", "interrupted")
    finished(root, load_recipe(str(second.path), ("training.lora_r=8", "training.adapter=lora")), "2", "interrupted")
    found = unfinished(second, root)
    assert found is not None and found.path == left.path
    finished(root, second, "3")
    assert unfinished(second, root) is None
