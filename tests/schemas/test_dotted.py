"""Values on one line."""

import pytest
from recipekit.schemas.yaml_source import parse_yaml
from recipekit.schemas.yaml_writing import dotted, one_line

VALUES = [
    "plain",
    "12e3",
    "no",
    "a: b",
    "two\nlines",
    "",
    " ",
    "x" * 300,
    "é😀",
    2e-4,
    1,
    1.0,
    True,
    None,
    [1, "a"],
    {"a": {"b": None}},
    [],
    {},
    "...",
    "- a",
]


@pytest.mark.parametrize("value", VALUES, ids=repr)
def test_a_value_is_one_line_that_reads_back_the_same(value: object) -> None:
    line = one_line(value)
    assert "\n" not in line
    assert parse_yaml(f"key: {line}", "r").data["key"] == value


def test_plain_text_has_no_quotes() -> None:
    assert one_line("some/model") == "some/model"


def test_a_path_is_written_as_set_takes_it() -> None:
    assert dotted(("data", "sources", 0, "path")) == "data.sources.0.path"
