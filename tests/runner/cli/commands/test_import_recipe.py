"""`recipe import`: the recipe to stdout or a file, the account to stderr or as JSON."""

import json
from pathlib import Path

import pytest
from recipekit.schemas.recipe import check_recipe
from recipekit.schemas.yaml_source import parse_yaml

AXOLOTL = "base_model: a/b\nlearning_rate: 1e-4\ndatasets: [{path: rows.jsonl, type: chat_template}]\nval_set_size: 0.1\noutput_dir: out\n"


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("My Axolotl.yml").write_text(AXOLOTL, encoding="utf-8")


def test_the_recipe_goes_to_stdout_and_the_report_to_stderr(command_line):
    outcome = command_line("import", "My Axolotl.yml")
    assert outcome.code == 0
    recipe = parse_yaml(outcome.out, "made").data
    assert recipe["name"] == "my_axolotl" and recipe["data"]["sources"] == [{"path": "rows.jsonl", "converter": "messages"}]
    assert "base_model" not in outcome.err and "2 kept" in outcome.err
    assert "My Axolotl.yml:5:1: output_dir: not expressible (use recipe run --runs-dir" in outcome.err
    assert "1 not expressible" in outcome.err.splitlines()[-1]


def test_an_imported_recipe_passes_recipe_check(command_line):
    assert command_line("import", "My Axolotl.yml", "--out", "recipes/mine.yml").out == "recipes/mine.yml\n"
    assert check_recipe(Path("recipes/mine.yml")) == []
    assert "path: ../rows.jsonl" in Path("recipes/mine.yml").read_text("utf-8") and command_line("check", "recipes/mine.yml").code == 0
    refused = command_line("import", "My Axolotl.yml", "--out", "recipes/mine.yml")
    assert refused.code == 1 and "already exists" in refused.err


def test_the_json_report_has_every_key_and_the_recipe(command_line):
    output = json.loads(command_line("import", "My Axolotl.yml", "--json").out)
    statuses = {key["key"]: key["status"] for key in output["keys"]}
    assert statuses["output_dir"] == "not expressible" and statuses["base_model"] == "kept" and statuses["datasets.0.type"] == "renamed"
    assert sum(output["counts"].values()) == len(output["keys"]) and output["problems"] == []
    assert parse_yaml(output["text"], "made").data["model"] == {"base_model": "a/b"}


def test_problems_that_are_left_are_reported_and_exit_1(command_line):
    Path("axolotl.yml").write_text("base_model: a/b\ndatasets: [{path: x/y, type: reflection}]\n", encoding="utf-8")
    outcome = command_line("import", "axolotl.yml", "--out", "made.yml")
    assert outcome.code == 1 and "missing key 'learning_rate' in training" in outcome.err and Path("made.yml").is_file()


def test_a_file_that_is_not_there_is_reported(command_line):
    assert command_line("import", "nothing.yml").code == 1


def test_a_key_of_several_lines_adds_no_key_to_the_recipe(command_line):
    """What cannot be expressed is a comment of one line, whatever the configuration calls it."""
    Path("odd.yml").write_text(AXOLOTL + '"x\\nname: other": 1\n', encoding="utf-8")
    outcome = command_line("import", "odd.yml")
    assert parse_yaml(outcome.out, "made").data["name"] == "odd" and "#   x name: other: no key of Axolotl" in outcome.out
