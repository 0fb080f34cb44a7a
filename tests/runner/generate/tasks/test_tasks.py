"""The registry of tasks and its modules."""

import inspect
from pathlib import Path

import pytest
from recipekit.runner.generate import tasks
from recipekit.runner.generate.tasks import TASKS, task


def test_every_module_of_the_folder_is_registered() -> None:
    modules = {path.stem for path in Path(str(tasks.__file__)).parent.glob("*.py")}
    assert modules == {"__init__", *TASKS}


@pytest.mark.parametrize("name", TASKS)
def test_a_reply_is_read_with_the_same_options(name: str) -> None:
    asked = inspect.signature(task(name).requests).parameters
    for parameter in inspect.signature(task(name).parse_reply).parameters.values():
        if parameter.kind is parameter.KEYWORD_ONLY:
            assert parameter.default == asked[parameter.name].default
