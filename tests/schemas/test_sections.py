"""The frozen sections against recipe.schema.json: the same names, the same defaults."""

from collections.abc import Callable
from typing import Any

import pytest
from recipekit.schemas import evaluation_sections, generate_sections, sections
from recipekit.schemas.json_schema import schema, subschema
from recipekit.schemas.sections import Recipe

PLACES = {
    "Recipe": (), "Model": ("model",), "Data": ("data",), "Source": ("data", "sources", 0), "Split": ("data", "split"),
    "Training": ("training",), "Launch": ("launch",), "Evaluation": ("evaluation",), "Generation": ("evaluation", "generation"),
    "Generate": ("generate",), "Provider": ("generate", "providers", 0), "Price": ("generate", "providers", 0, "price"),
    "Sampling": ("generate", "sampling"), "Limits": ("generate", "limits"), "Filters": ("generate", "filters"),
    "SamplePrompts": ("evaluation", "prompts"), "Judge": ("generate", "judge"), "Gate": ("evaluation", "gates", "perplexity"),
    "EvaluationSet": ("evaluation", "also", "any"),
    "Rubric": ("evaluation", "rubric"), "Criterion": ("evaluation", "rubric", "criteria", "any"), "Export": ("export",),
}  # fmt: skip
SECTIONS = {
    name: value
    for name, value in {**vars(generate_sections), **vars(evaluation_sections), **vars(sections)}.items()
    if hasattr(value, "_fields")
}
OWN_DEFAULT = {("Recipe", "recipe"), ("Recipe", "description")}  # one is a constant, the other is shown, so it is never None


def plain(value: Any) -> Any:
    """A default as JSON has it: a section with only defaults is left out."""
    if hasattr(value, "_fields"):
        return None
    return list(value) if isinstance(value, tuple) else value


@pytest.mark.parametrize(("name", "place"), PLACES.items(), ids=PLACES)
def test_fields_and_defaults_are_those_of_the_schema(name: str, place: tuple) -> None:
    section = SECTIONS[name]
    definition = subschema(schema("recipe"), place)
    assert sorted(section._fields) == sorted(set(definition["properties"]) - {"extends"})
    required = {field for field in section._fields if field not in section._field_defaults}
    assert required == set(definition.get("required", [])) - {"recipe"}
    for field, default in section._field_defaults.items():
        if (name, field) not in OWN_DEFAULT:
            assert plain(default) == definition["properties"][field].get("default"), field


def test_every_section_is_compared() -> None:
    assert set(SECTIONS) == set(PLACES)


@pytest.mark.parametrize("name", [name for name in PLACES if name != "Recipe"])
def test_every_key_of_the_schema_is_described(name: str) -> None:
    for key, value in subschema(schema("recipe"), PLACES[name])["properties"].items():
        definition = subschema(schema("recipe"), (*PLACES[name], key))
        assert value.get("description") or definition.get("description"), f"{name}.{key}"


def test_a_recipe_is_built_with_tuples_and_defaults(minimal: Callable[..., dict[str, Any]]) -> None:
    changes = {"training.roles_to_train": ["user"], "evaluation.gates": {"perplexity": {"max": 9}}, "data.split.group_by": ["tree_id"]}
    recipe = Recipe.from_values(minimal(changes))
    assert recipe.training.roles_to_train == ("user",)
    assert recipe.data.split.group_by == ("tree_id",)
    assert recipe.evaluation.gates["perplexity"].max == 9
    assert recipe.launch == sections.Launch()
    assert recipe.evaluation.generation.max_new_tokens == 256


def test_four_point_zero_is_a_whole_number(minimal: Callable[..., dict[str, Any]]) -> None:
    recipe = Recipe.from_values(minimal({"training.micro_batch_size": 4.0, "training.max_steps": 7.0, "training.num_epochs": 2.0}))
    assert repr(recipe.training.micro_batch_size) == "4"
    assert repr(recipe.training.max_steps) == "7"
    assert repr(recipe.training.num_epochs) == "2.0"


@pytest.mark.parametrize(
    ("changes", "split"),
    [
        ({}, "validation"),
        ({"data.split.test": 0.1}, "test"),
        ({"data.split.test": 0.1, "evaluation.split": "validation"}, "validation"),
        ({"data.sources": [{"path": "a", "converter": "messages", "split": "test"}]}, "test"),
    ],
)
def test_the_evaluation_takes_the_test_split_where_there_is_one(minimal: Callable[..., dict[str, Any]], changes: dict, split: str) -> None:
    assert Recipe.from_values(minimal(changes)).evaluation_split == split
