"""Problems in the forms that people and machines read."""

import json

import pytest
from recipekit.runner.cli.problem_formats import FORMATS
from recipekit.schemas.base.errors import Location, Problem

PLAIN = Problem(Location("a.yml", 3, 5), "wrong", "mend it", "some-rule")
ODD = Problem(Location("dir,1/a: b%.yml"), "two\nlines, 100%", "", "odd")


def test_text_leaves_out_what_is_not_known() -> None:
    assert FORMATS["text"]([PLAIN, ODD]) == "a.yml:3:5: wrong\n    hint: mend it\ndir,1/a: b%.yml: two\nlines, 100%"


def test_github_escapes_what_would_end_a_command() -> None:
    assert FORMATS["github"]([ODD]) == "::error file=dir%2C1/a%3A b%25.yml,line=1,col=1,title=odd::two%0Alines, 100%25"


def test_json_keeps_every_field() -> None:
    output = json.loads(FORMATS["json"]([PLAIN]))
    assert output["problems"] == [{"file": "a.yml", "line": 3, "column": 5, "what": "wrong", "hint": "mend it", "rule": "some-rule"}]


def test_sarif_counts_from_one_and_names_each_rule_once() -> None:
    (run,) = json.loads(FORMATS["sarif"]([PLAIN, PLAIN, ODD]))["runs"]
    assert run["tool"]["driver"]["rules"] == [{"id": "odd"}, {"id": "some-rule"}]
    assert run["results"][2]["locations"][0]["physicalLocation"] == {
        "artifactLocation": {"uri": "dir%2C1/a%3A%20b%25.yml"},
        "region": {"startLine": 1, "startColumn": 1},
    }


@pytest.mark.parametrize("style", FORMATS)
def test_a_clean_check_is_written_too(style: str) -> None:
    written = FORMATS[style]([])
    assert "error" not in written.replace('"level": "error"', "")


@pytest.mark.parametrize("style", FORMATS)
def test_every_format_can_be_encoded(style: str) -> None:
    FORMATS[style]([Problem(Location("\udcff.yml"), "\udcfe")]).encode()
