"""A configuration becomes a recipe and an account: every key once, and what is rendered from the recipe is what it was made from."""

import copy
import os
import re

import pytest
from recipekit.runner.importing.draft import STATUSES
from recipekit.runner.importing.importing import as_json, import_config
from recipekit.runner.launch.axolotl_config import RenderedData, render_axolotl
from recipekit.runner.launch.kernel_choice import choose
from recipekit.runner.models.architecture import architecture_of
from recipekit.runner.runtime.machine import Machine
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.extends import shipped_recipes
from recipekit.schemas.json_schema import SCHEMA_DIR
from recipekit.schemas.recipe import check_recipe, load_recipe
from recipekit.schemas.yaml_source import parse_yaml

from ...support.axolotl_configs import GPU, SMALL
from ...support.paths import GOLDEN

SHIPPED = [path.stem for path in shipped_recipes()]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_recipes_survive_rendering_and_importing(name, tmp_path):
    golden = parse_yaml((GOLDEN / name / "axolotl.yml").read_text("utf-8"), name).data
    found = import_config(GOLDEN / name / "axolotl.yml", None, name, tmp_path)
    assert found.problems == [] and "not expressible" not in found.counts
    # The adapter none is what trains every weight; rows that a source's weight repeats are trained as often.
    defaults = {entry.key for _, entry in found.account if entry.status == "default"}
    assert defaults <= {"adapter", "dataset_exact_deduplication"}
    (tmp_path / "made.yml").write_text(found.text, encoding="utf-8")
    made = load_recipe(str(tmp_path / "made.yml")).recipe
    data = RenderedData(validation="data/validation.jsonl" if "test_datasets" in golden else None, labels=made.data.labels or ())
    kernels = choose(made, GPU, architecture_of(made.model))
    assert render_axolotl(made, data, GPU, made.model.base_model, kernels) == golden


@pytest.mark.parametrize("name", [name for name in SHIPPED if load_recipe(name).recipe.data.type == "chat"])
def test_the_training_section_of_a_shipped_chat_recipe_comes_back(name, tmp_path):
    there = load_recipe(name).recipe.training
    found = import_config(GOLDEN / name / "axolotl.yml", None, name, tmp_path)
    (tmp_path / "made.yml").write_text(found.text, encoding="utf-8")
    back = load_recipe(str(tmp_path / "made.yml")).recipe.training
    decided = {"precision": back.precision, "save_steps": there.save_steps or there.eval_steps}  # rendering decides these two
    decided |= {} if there.warmup_steps or there.warmup_ratio is not None else {"warmup_steps": 0}
    assert back == there._replace(**decided)
    assert back.precision == {"auto": "bf16"}.get(there.precision, there.precision)


@pytest.mark.parametrize("value", [True, False, 1, 0.5, "word", [], {}, ["a"], {"a": 1}, None], ids=str)
def test_every_axolotl_field_is_accounted_for(imported, value):
    """No key is lost in silence: each has its entry, and what is passed through stands in the recipe."""
    table = parse_yaml((SCHEMA_DIR / "axolotl_fields.json").read_text("utf-8"), "fields").data
    config = {key: copy.copy(value) for key in [*table["fields"], *table["rendered"], "no_such_field"]} | SMALL
    recipe, entries, found = imported(config)
    tops = {re.split(r"[.:]", key)[0] for key in entries}
    assert set(config) <= tops
    passed = {entry.key: entry for entry in entries.values() if entry.status == "passed through"}
    assert set(recipe.get("axolotl", {})) == set(passed) and all(recipe["axolotl"][key] == config[key] for key in passed)
    assert sum(found.counts.values()) == len(entries) and all(entry.why for entry in entries.values() if entry.status == "not expressible")


def test_conflicting_source_settings_are_not_taken_over(imported):
    sources = [{"path": "x/y", "type": "chat_template", "roles_to_train": [role], "chat_template": name}
               for role, name in (("user", "llama3"), ("assistant", "chatml"))]  # fmt: skip
    recipe, entries, _ = imported(SMALL | {"datasets": sources})
    assert recipe["training"]["roles_to_train"] == ["user"] and recipe["model"]["chat_template"] == "llama3"
    lost = [entry for entry in entries.values() if entry.key.startswith("datasets.1.") and entry.status == "not expressible"]
    assert {entry.key for entry in lost} == {"datasets.1.roles_to_train", "datasets.1.chat_template"}
    assert all("a recipe has one value for all sources" in entry.why for entry in lost)


def test_the_import_report_locates_every_key(imported):
    _, _, found = imported("base_model: a/b\nspecial_tokens:\n  pad_token: x\n  bos_token: y\nlearning_rate: 1e-4\n")
    places = {entry.key: (location.line, location.column) for location, entry in found.account}
    assert places["base_model"] == (1, 1) and places["special_tokens.bos_token"] == (4, 3) and places["sequence_len"] == (0, 0)
    output = as_json(found)
    assert {key["status"] for key in output["keys"]} <= set(STATUSES) and output["counts"] == found.counts


def test_a_recipe_of_a_small_configuration_is_checked_by_recipe_check(imported, tmp_path):
    _, _, found = imported(SMALL)
    (tmp_path / "made.yml").write_text(found.text, encoding="utf-8")
    assert check_recipe(tmp_path / "made.yml") == found.problems == []


def test_missing_parts_of_a_recipe_are_reported(imported):
    _, _, found = imported({"base_model": "a/b", "datasets": [{"path": "x/y", "type": "reflection"}]})
    assert {problem.what for problem in found.problems} >= {"missing key 'learning_rate' in training", "missing key 'data'"}


def test_unsupported_settings_are_comments_in_the_recipe(imported):
    _, _, found = imported(SMALL | {"output_dir": "out"})
    assert re.search(r"^#   output_dir: use recipe run --runs-dir", found.text, re.MULTILINE)


def test_a_key_that_a_rule_refuses_is_removed_with_the_rules_message(imported):
    recipe, entries, found = imported(SMALL | {"lora_r": 64, "trust_remote_code": True})
    assert "lora_r" not in recipe["training"] and "trust_remote_code" not in recipe["model"] and found.problems == []
    assert "has no effect with adapter: none" in entries["lora_r"].why and "full commit hash" in entries["trust_remote_code"].why


@pytest.mark.parametrize(
    ("text", "what"),
    [
        ("- a\n", "not a configuration"),
        ("a: 1\n", "neither a training of Axolotl"),
        ("model_name_or_path: gpt2\ndataset_name: trl-lib/Capybara\n", "such as TRL: `recipe new NAME --data FILE"),
        ("base_model: [\n", "not YAML"),
        ("a: !!python/none x\n", "the tag"),
    ],
    ids=["a list", "no tool's", "TRL's", "no YAML", "a tag"],
)
def test_an_invalid_configuration_is_refused_with_its_location(imported, text, what):
    with pytest.raises(UserError, match=what):
        imported(text)


def test_rendering_for_another_machine_is_not_what_is_compared_with(imported):
    """A configuration says what a GPU does; on a CPU it would be rendered otherwise."""
    recipe, entries, _ = imported(SMALL | {"optimizer": "adamw_8bit", "bf16": True})
    assert recipe["training"]["optimizer"] == "adamw_8bit" and entries["optimizer"].status == "kept" and Machine().is_cpu


def test_paths_are_written_relative_to_the_recipe(imported, tmp_path, monkeypatch):
    (tmp_path / "work").mkdir()
    monkeypatch.chdir(tmp_path / "work")
    recipe, _, _ = imported(SMALL)
    assert recipe["data"]["sources"][0]["path"] == os.path.join("work", "rows.jsonl")


def test_words_that_both_tools_read_as_true_or_false_are(imported):
    text = """base_model: a/b
adapter: lora
lora_r: 8
lora_alpha: 16
load_in_4bit: no
lora_target_linear: Off
lora_target_modules: [q_proj]
bf16: yes
rl: no
use_wandb: OFF
learning_rate: 1e-4
val_set_size: 0.1
datasets: [{path: rows.jsonl, type: chat_template, roles: {user: ["no"]}}]
"""
    recipe, _, found = imported(text)
    training = {"adapter": "lora", "lora_target_modules": ["q_proj"], "precision": "bf16", "learning_rate": 1e-4}
    assert found.problems == [] and training.items() <= recipe["training"].items() and "trackers" not in recipe["training"]
    assert recipe["data"]["sources"][0]["options"] == {"roles": {"no": "user"}}  # what is quoted is a text


def test_whole_numbers_are_read_as_both_tools_read_them(imported):
    recipe, _, found = imported("base_model: a/b\nadapter: lora\nlora_r: 010\nlora_alpha: 16\nlearning_rate: 1e-4\nsequence_len: 1_024\n"
                                "datasets: [{path: rows.jsonl, type: chat_template}]\n")  # fmt: skip
    assert found.problems == [] and (recipe["training"]["lora_r"], recipe["training"]["sequence_len"]) == (8, 1024)


def test_a_quoted_true_or_false_is_refused(imported):
    with pytest.raises(UserError) as refused:
        imported('model_name_or_path: a/b\nstage: sft\nbf16: "false"\nwandb_name: "no"\n')
    (problem,) = refused.value.problems
    assert (problem.location.line, problem.what) == (3, "bf16: 'false' is a text, not false") and "quotes" in problem.hint


@pytest.mark.parametrize("steps", [0, 10])
def test_axolotl_warms_up_by_the_steps_where_both_are_set(imported, steps):
    recipe, entries, found = imported(SMALL | {"warmup_steps": steps, "warmup_ratio": 0.1})
    assert found.problems == [] and recipe["training"]["warmup_steps"] == steps and "warmup_ratio" not in recipe["training"]
    assert entries["warmup_ratio"].to == ("training.warmup_steps",)


def test_a_recipe_that_is_not_valid_yet_is_named_as_it_is_written(command_line, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "lf.yaml").write_text(
        "model_name_or_path: some/model\nstage: sft\ndataset: mine\nlearning_rate: 1.0e-4\n", encoding="utf-8"
    )
    outcome = command_line("import", "lf.yaml", "--out", "made.yml")
    assert outcome.code == 1 and "import it in LLaMA-Factory's folder" in outcome.err
    assert re.search(r"^made\.yml:\d+:1: missing key 'sources' in data$", outcome.err, re.MULTILINE)


def test_a_missing_configuration_is_not_looked_for_among_the_recipes(command_line):
    outcome = command_line("import", "nowhere.yml")
    assert (outcome.code, outcome.err) == (1, "nowhere.yml: no such file\n")
