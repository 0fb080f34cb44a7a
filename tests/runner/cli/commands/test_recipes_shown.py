"""`recipe ls`, `show`, `explain`, `diff`, `schema`: what people and scripts read about recipes."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from recipekit.converters.sources.registry import CONVERTERS
from recipekit.runner.generate.tasks import TASKS
from recipekit.schemas.extends import shipped_recipes
from recipekit.schemas.json_schema import SCHEMA_DIR, schema, schema_names, subschema
from recipekit.schemas.recipe import load_recipe
from recipekit.schemas.yaml_writing import to_yaml

from ....support.terminal import in_terminal

Recipe = Callable[..., Any]
Write = Callable[..., Path]


def test_ls_has_a_line_for_every_shipped_recipe(command_line: Recipe) -> None:
    outcome = command_line("ls")
    assert (outcome.code, outcome.err) == (0, "")
    header, *lines = outcome.out.splitlines()
    assert header.split("  ")[0].strip() == "name"
    assert [line.split()[0] for line in lines] == [path.stem for path in shipped_recipes()]
    assert len({line.index(load_recipe(line.split()[0]).recipe.model.base_model) for line in lines}) == 1, "columns line up"


def test_ls_as_json(command_line: Recipe) -> None:
    rows = {row["name"]: row for row in json.loads(command_line("ls", "--json").out)["recipes"]}
    assert set(rows) == {path.stem for path in shipped_recipes()}
    quickstart = load_recipe("quickstart").recipe
    assert rows["quickstart"] | {"path": ""} == {
        "name": "quickstart", "description": quickstart.description, "base_model": "embedded:smollm2-135m-instruct",
        "adapter": "qlora", "type": "chat", "path": "",
    }  # fmt: skip


def test_ls_of_a_folder(command_line: Recipe, recipe_file: Write, tmp_path: Path) -> None:
    recipe_file("extends: quickstart\nname: mine\n")
    assert command_line("ls", tmp_path).out.splitlines()[1].startswith("mine  chat     qlora    embedded:")


def test_prompts_are_not_recipes_and_an_invalid_recipe_hides_no_other(command_line: Recipe, tmp_path: Path, minimal: Any) -> None:
    (tmp_path / "good.yml").write_text(to_yaml(minimal()))
    (tmp_path / "prompt.yml").write_text("prompt: 1\nuser: Hi\n")
    assert command_line("ls", tmp_path).code == 0
    (tmp_path / "bad.yml").write_text(to_yaml(minimal({"training.lora_rank": 8})))
    outcome = command_line("ls", tmp_path)
    assert outcome.code == 1 and len(outcome.out.splitlines()) == 2 and "small" in outcome.out
    assert outcome.err.startswith(f"{tmp_path}/bad.yml:") and "lora_rank" in outcome.err


def test_in_a_terminal_no_word_of_a_recipe_is_cut() -> None:
    code, written = in_terminal("ls", columns=80)
    assert code == 0 and all(len(line) <= 80 for line in written.replace("\r", "").splitlines())
    for path in shipped_recipes():
        recipe = load_recipe(str(path)).recipe
        assert recipe.name in written and set(recipe.description.split()) <= set(written.split())


def test_show_prints_a_recipe_that_loads_the_same(command_line: Recipe, recipe_file: Write) -> None:
    child = recipe_file("extends: emogpt_qwen\nname: child\ntraining: {lora_r: 4}\n", "child.yml")
    shown = command_line("show", child, "--set", "training.learning_rate=1e-5")
    assert (shown.code, shown.err) == (0, "")
    again = load_recipe(str(recipe_file(shown.out, "shown.yml"))).recipe
    assert again == load_recipe(str(child), ("training.learning_rate=1e-5",)).recipe
    assert json.loads(command_line("show", child, "--json").out)["training"]["lora_r"] == 4


def test_show_origins_tells_where_every_value_comes_from(command_line: Recipe, recipe_file: Write) -> None:
    child = recipe_file("extends: emogpt_qwen\nname: child\ntraining: {lora_r: 4}\n", "child.yml")
    lines = command_line("show", child, "--origins", "--set", "training.seed=7").out.splitlines()
    assert f"training.lora_r: 4  # {child}:3:20" in lines
    assert "training.seed: 7  # --set training.seed=7" in lines
    assert "training.precision: auto  # default" in lines
    rows = json.loads(command_line("show", child, "--origins", "--json").out)
    assert rows["training.lora_r"] == {"value": 4, "origin": f"{child}:3:20"}


@pytest.mark.parametrize("name", CONVERTERS)
def test_show_lists_every_option_of_a_converter(command_line: Recipe, name: str) -> None:
    definition = schema("recipe")["$defs"][name]
    outcome = command_line("show", "--converter", name)
    assert outcome.code == 0
    for key, option in definition.get("properties", {}).items():
        assert f"  {key}: " in outcome.out
        assert option["description"] in outcome.out
    assert json.loads(command_line("show", "--converter", name, "--json").out) == definition


@pytest.mark.parametrize("name", TASKS)
def test_show_lists_every_option_of_a_task(command_line: Recipe, name: str) -> None:
    definition = schema("recipe")["$defs"][f"task_{name}"]
    outcome = command_line("show", "--task", name)
    assert [line.split(":")[0].strip() for line in outcome.out.splitlines() if line.startswith("  ") and line[2] != " "] == list(
        definition["properties"]
    )
    assert json.loads(command_line("show", "--task", name, "--json").out) == definition


def test_show_needs_a_recipe_or_a_converter(command_line: Recipe) -> None:
    assert command_line("show").code == 2
    assert command_line("show", "quickstart", "--converter", "messages").code == 2
    assert command_line("show", "--converter", "nonsense").code == 2


def test_explain_shows_value_origin_default_and_meaning(command_line: Recipe) -> None:
    path = shipped_recipes()[0].parent / "emogpt_qwen.yml"
    outcome = command_line("explain", "emogpt_qwen", "training.lora_dropout", "--set", "training.lora_dropout=0.1")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == (
        "training.lora_dropout: 0.1\n    from --set training.lora_dropout=0.1; the default is 0.05\n    Dropout inside the adapter.\n"
    )
    assert command_line("explain", "emogpt_qwen", "training.max_grad_norm").out.splitlines()[1] == "    the default"
    (row,) = json.loads(command_line("explain", "emogpt_qwen", "training.lora_r", "--json").out)["keys"]
    assert row["origin"].startswith(f"{path}:")
    assert row | {"origin": ""} == {
        "key": "training.lora_r",
        "value": 16,
        "origin": "",
        "default": 16,
        "description": "Rank of the adapter.",
    }


@pytest.mark.parametrize("what", [["--converter", "emogpt"], ["--task", "ask"]], ids=" ".join)
@pytest.mark.parametrize("option", [["--set", "a=1"], ["--origins"]], ids=" ".join)
def test_options_of_a_recipe_do_not_go_with_those_of_a_converter(command_line: Recipe, what: list[str], option: list[str]) -> None:
    outcome = command_line("show", *what, *option)
    assert (outcome.code, outcome.out) == (2, "")
    assert "--set, --origins: only with a RECIPE" in outcome.err


@pytest.mark.parametrize(
    ("key", "allowed"), [("evaluation.metrics", "perplexity, token_accuracy, "), ("training.adapter", "qlora, lora, none.")]
)
def test_explain_lists_the_values_of_a_key_that_takes_only_some(command_line: Recipe, key: str, allowed: str) -> None:
    *_, last = command_line("explain", "quickstart", key).out.splitlines()
    assert last.startswith(f"    Allowed: {allowed}")
    (row,) = json.loads(command_line("explain", "quickstart", key, "--json").out)["keys"]
    assert f"    Allowed: {', '.join(row['allowed'])}." == last


def test_explain_of_a_key_alone_needs_no_recipe(command_line: Recipe) -> None:
    assert command_line("explain", "data.split.seed").out.startswith("data.split.seed: the default is 42\n    Seed of the split.")
    assert [line for line in command_line("explain", "data.split").out.splitlines() if line.startswith("data.split.test")]
    (row,) = json.loads(command_line("explain", "evaluation.split", "--json").out)["keys"]
    assert (row["default"], row["allowed"]) == (None, ["validation", "test"]) and "value" not in row
    assert "Rank" in command_line("explain", "training.lora_r").out
    assert "hint: it belongs in another section: 'training.lora_r'" in command_line("explain", "lora_r").err
    assert "recipe explain RECIPE KEY" in command_line("explain", "quickstart").err
    assert command_line("explain", "training.lora_r", "--set", "training.lora_r=8").code == 2


def test_explain_of_a_section_lists_its_keys(command_line: Recipe) -> None:
    out = command_line("explain", "quickstart", "data.split").out
    assert out.startswith("data.split: How rows are split.")
    assert all(f"\ndata.split.{key}: " in out for key in ("validation", "test", "seed", "group_by", "stratify_by"))


@pytest.mark.parametrize(
    ("key", "hint"),
    [
        ("lr", "'training.learning_rate'"),
        ("training.lr", "'learning_rate'"),
        ("data.split.validaton", "'validation'"),
        ("trainin", "'training'"),
    ],
)
def test_explain_of_an_unknown_key_suggests_one(command_line: Recipe, key: str, hint: str) -> None:
    outcome = command_line("explain", "quickstart", key)
    assert outcome.code == 1
    assert outcome.err.endswith(f": unknown key {key!r}\n    hint: did you mean {hint}?\n")


def test_explain_reports_a_missing_section(command_line: Recipe) -> None:
    outcome = command_line("explain", "quickstart", "generate.limits.max_requests")
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out.startswith("generate.limits.max_requests: null\n    from not set: this recipe has no generate\n    ")
    assert subschema(schema("recipe"), ("generate", "limits", "max_requests"))["description"] in outcome.out
    out = command_line("explain", "quickstart", "generate.limits").out
    assert "generate.limits.retries: null" in out and "generate.limits.max_cost: null" in out
    rows = json.loads(command_line("explain", "quickstart", "data.sources.7.path", "--json").out)["keys"]
    assert [(row["key"], row["origin"]) for row in rows] == [("data.sources.7.path", "not set: this recipe has no data.sources.7")]
    assert command_line("explain", "quickstart", "data.sources.7.options.nope").code == 1
    assert command_line("explain", "quickstart", "generate.limits.nope").code == 1


def test_diff_shows_the_effective_keys_that_differ(command_line: Recipe, recipe_file: Write) -> None:
    child = recipe_file("extends: quickstart\nname: child\ntraining: {lora_r: 4, weight_decay: 0, warmup_ratio: null}\n", "child.yml")
    outcome = command_line("diff", "quickstart", child)
    assert (outcome.code, outcome.err) == (0, "")
    assert outcome.out == "name: quickstart -> child\ntraining.lora_r: 8 -> 4\ntraining.warmup_ratio: 0.1 -> null\n"
    differences = json.loads(command_line("diff", "quickstart", child, "--json").out)["differences"]
    assert differences["training.lora_r"] == {"one": 8, "other": 4}


def test_diff_of_equal_recipes_is_empty(command_line: Recipe) -> None:
    assert command_line("diff", "quickstart", "quickstart") == (0, "", "no differences\n")
    assert command_line("diff", "quickstart", "quickstart", "--set", "training.lora_r=4").out == "training.lora_r: 8 -> 4\n"


@pytest.mark.parametrize("name", schema_names())
def test_schema_prints_what_is_shipped(command_line: Recipe, name: str) -> None:
    assert command_line("schema", name) == (0, (SCHEMA_DIR / f"{name}.schema.json").read_text("utf-8"), "")


def test_schema_prints_the_recipes_by_default(command_line: Recipe) -> None:
    assert json.loads(command_line("schema").out)["title"] == "recipekit recipe"
    assert command_line("schema", "nonsense").code == 2
