"""The registry and the modules must say the same about every converter; the schema of recipes is made of both."""

import inspect
from pathlib import Path

import pytest
from recipekit.converters.reading.records import Row
from recipekit.converters.sources.registry import CONVERTERS, converter, is_stateless, option_problems

NAMES = CONVERTERS


def test_converters_are_listed_in_order():
    assert list(CONVERTERS) == sorted(CONVERTERS)


@pytest.mark.parametrize("name", NAMES)
def test_an_unknown_option_is_refused(name):
    assert "unknown key 'no_such_option'" in option_problems(name, {"no_such_option": 1})[0]


@pytest.mark.parametrize("name", NAMES)
def test_a_converter_says_what_it_makes_and_how_its_files_are_read(name):
    module = converter(name)
    assert module.VERSION >= 1
    assert module.RECORD_TYPES and set(module.RECORD_TYPES) <= {"chat", "classification", "text"}
    assert callable(module.INPUT) or module.INPUT in ("values", "lines", "files")
    assert isinstance(is_stateless(name, {}), bool)


@pytest.mark.parametrize("name", NAMES)
def test_a_converter_shows_a_record_in_its_docstring(name):
    docstring = inspect.getdoc(converter(name)) or ""
    assert "\n\n    " in docstring, "an indented record stands in the docstring"


@pytest.mark.parametrize("name", [name for name in NAMES if converter(name).INPUT == "values"])
@pytest.mark.parametrize("value", [None, 7, "text", [], {}, {"messages": 1, "conversation": 1, "conversations": 1}], ids=repr)
def test_a_row_of_the_wrong_shape_is_accounted_for_and_never_crashes(name, value):
    for kind in converter(name).RECORD_TYPES:
        found = list(converter(name).convert([Row(value, "f.json", 3)], kind))
        assert found
        assert all(item.row == Row(value, "f.json", 3) for item in found)


def test_every_converter_module_of_the_folder_is_registered():
    folder = Path(inspect.getfile(converter("messages"))).parent
    written = {path.stem for path in folder.glob("*.py") if "\nRECORD_TYPES = " in path.read_text(encoding="utf-8")}
    assert written == set(CONVERTERS)


def test_rows_of_emollm_are_independent_if_wrong_histories_are_not_looked_for():
    assert not is_stateless("emollm", {})
    assert is_stateless("emollm", {"drop_wrong_histories": False})
