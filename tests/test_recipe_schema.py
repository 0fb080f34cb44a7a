"""The parts of schemas/recipe.schema.json that registries decide. `UPDATE_GOLDEN=1` writes them, before any test runs.

What else the schema says of a recipe is written by hand.
"""

from recipekit.converters.sources.registry import CONVERTERS
from recipekit.runner.generate.tasks import TASKS

from .support.recipe_schema import SCHEMA, expected_text, generated


def test_the_schema_holds_what_the_registries_say() -> None:
    assert SCHEMA.read_text(encoding="utf-8") == expected_text(), "UPDATE_GOLDEN=1 pytest tests/test_recipe_schema.py writes it"


def test_every_option_is_described() -> None:
    for name in (*CONVERTERS, *(f"task_{name}" for name in TASKS)):
        for key, option in generated()["$defs", name]["properties"].items():
            assert option.get("description", "").endswith("."), f"{name}.{key}"
