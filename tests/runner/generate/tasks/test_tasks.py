"""The tasks against the schema: the same names, the same options, the same defaults."""

import inspect

import pytest
from recipekit.runner.generate.tasks import TASKS, task
from recipekit.schemas.validation import schema

DEFINITIONS = schema("recipe")["$defs"]


def test_every_task_of_the_schema_is_in_the_table() -> None:
    assert sorted(TASKS) == DEFINITIONS["generate"]["properties"]["task"]["enum"]


@pytest.mark.parametrize("name", TASKS)
def test_options_and_defaults_are_those_of_the_schema(name: str) -> None:
    properties = DEFINITIONS[f"task_{name}"]["properties"]
    parameters = inspect.signature(task(name).requests).parameters.values()
    options = {p.name: list(p.default) if isinstance(p.default, tuple) else p.default for p in parameters if p.kind is p.KEYWORD_ONLY}
    assert {key: value or properties[key].get("default") for key, value in options.items()} == {
        key: p.get("default") for key, p in properties.items()
    }


@pytest.mark.parametrize("name", TASKS)
def test_a_reply_is_read_with_the_same_options(name: str) -> None:
    asked = inspect.signature(task(name).requests).parameters
    for parameter in inspect.signature(task(name).made).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            assert parameter.default == asked[parameter.name].default
