"""The stages that a recipe has, and the list of all."""

from pathlib import Path

import pytest
from recipekit.runner import stages as folder
from recipekit.runner.stages.registry import STAGES, data_stages, model_stages, set_stages
from recipekit.schemas.recipe import load_recipe


def test_every_module_with_a_name_is_a_stage_of_the_list() -> None:
    modules = {path.stem for path in Path(folder.__path__[0]).glob("*.py") if "\nOUTPUTS = " in path.read_text("utf-8")}
    assert modules == {stage.__name__.rpartition(".")[2] for stage in STAGES}
    assert len({stage.NAME for stage in STAGES}) == len(STAGES)


@pytest.mark.parametrize("name", ["quickstart", "emogpt_augment", "emogpt_qwen", "mbti_llama2_ei"])
@pytest.mark.parametrize("merge", ["true", "false"])
def test_a_recipe_has_stages_of_the_list_in_its_order(name: str, merge: str) -> None:
    recipe = load_recipe(name, (f"export.merge={merge}",)).recipe
    found = [*data_stages(recipe), *set_stages(recipe), *model_stages(recipe)]
    assert found == [stage for stage in STAGES if stage in found]
    wanted = {"generate": recipe.generate, "sets": recipe.evaluation.also, "merge": recipe.export.merge}
    assert [stage.NAME for stage in STAGES if stage not in found] == [stage.NAME for stage in STAGES if not wanted.get(stage.NAME, True)]
