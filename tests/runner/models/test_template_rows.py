"""What a chat template does to a recipe's rows is found by `recipe check --data`, in a line and without torch."""

import json
import subprocess
import sys

import pytest
from recipekit.runner.models.template_rows import date_note
from recipekit.schemas.recipe import load_recipe
from recipekit.schemas.yaml_writing import to_yaml

from ...support.jsonl import write_jsonl
from ...support.tiny import TEMPLATE

pytest.importorskip("jinja2", reason="needs the extra [eval]")

NO_SYSTEM = "{% if messages[0]['role'] == 'system' %}{{ raise_exception('System role not supported') }}{% endif %}" + TEMPLATE
LOSES_SYSTEM = "{% for message in messages if message.role != 'system' %}" + TEMPLATE.partition("%}")[2]
BROKEN = "{{ messages[0]['content'] + 1 }}"


@pytest.fixture
def checked(tmp_path, command_line, recipe_file, minimal):
    """What `recipe check --data` says of three rows with this template; None for a tokenizer without one."""

    def run(template, *settings, in_settings=False, **changes):
        model = tmp_path / "model"
        model.mkdir()
        (model / "config.json").write_text("{}")
        kept = {"chat_template": template} if in_settings else {}
        (model / "tokenizer_config.json").write_text(json.dumps({"tokenizer_class": "PreTrainedTokenizerFast"} | kept))
        if template is not None and not in_settings:
            (model / "chat_template.jinja").write_text(template)
        turns = [{"role": "user", "content": "Where is the owl?"}, {"role": "assistant", "content": "<think>High.</think>In the tree."}]
        write_jsonl(tmp_path / "rows.jsonl", [{"messages": turns, "id": n} for n in range(3)])
        source = {"path": str(tmp_path / "rows.jsonl"), "converter": "messages"}
        values = {"model.base_model": str(model), "data.sources": [source], "data.dedup": "none"} | changes
        outcome = command_line("check", "--data", recipe_file(to_yaml(minimal(values)), "r.yml"), *settings)
        assert "Traceback" not in outcome.err
        return outcome

    return run


SYSTEM = {"data.system_prompt": "Be brief."}


@pytest.mark.parametrize("in_settings", [True, False])
def test_a_complete_template_has_no_problem(checked, in_settings):
    outcome = checked(TEMPLATE, in_settings=in_settings, **SYSTEM)
    assert outcome.code == 0, outcome.err


def test_a_refused_system_message_is_named_with_rows_words_and_what_to_write(checked):
    outcome = checked(NO_SYSTEM, **SYSTEM)
    assert outcome.code == 1
    assert "the model's own chat template refuses 3 of the first 3 rows: rows.jsonl:1 (System role not supported)" in outcome.err
    assert "hint: set data.system_role: fold" in outcome.err


@pytest.mark.parametrize("template", [NO_SYSTEM, LOSES_SYSTEM])
def test_a_folded_system_message_is_not_a_problem(checked, template):
    assert checked(template, **SYSTEM, **{"data.system_role": "fold"}).code == 0


def test_a_system_message_that_is_left_out_is_named(checked):
    outcome = checked(LOSES_SYSTEM, **SYSTEM)
    assert outcome.code == 1 and "leaves out words of the system message in 3 of the first 3 rows: rows.jsonl:1 ('Be')" in outcome.err
    assert "data.system_role: fold" in outcome.err


def test_replies_that_are_reasoning_alone_are_named_where_it_is_dropped(tmp_path, command_line, recipe_file, minimal):
    """The run would stop at them: they have no trained token."""
    turns = [
        [{"role": "user", "content": "Where is the owl?"}, {"role": "assistant", "content": f"<think>High.</think>{rest}"}]
        for rest in ("\n", "There.")
    ]
    write_jsonl(tmp_path / "rows.jsonl", [{"messages": messages} for messages in turns])
    values = {"data.sources": [{"path": str(tmp_path / "rows.jsonl"), "converter": "messages"}]}
    outcome = command_line("check", "--data", recipe_file(to_yaml(minimal(values | {"data.reasoning": "drop"})), "r.yml"))
    assert outcome.code == 1 and "drop leaves no reply in 1 of the first 2 rows: rows.jsonl:1 (reasoning alone)" in outcome.err
    assert command_line("check", "--data", recipe_file(to_yaml(minimal(values)), "r.yml")).code == 0


def test_a_template_that_fails_is_one_line(checked):
    outcome = checked(BROKEN)
    assert outcome.code == 1 and "refuses 3 of the first 3 rows: rows.jsonl:1 (can only concatenate str" in outcome.err


def test_a_tokenizer_without_a_template_is_named_with_what_to_write(checked):
    outcome = checked(None)
    assert (
        outcome.code == 1
        and "has no chat template" in outcome.err
        and "set model.chat_template to one of Axolotl's, e.g. chatml" in outcome.err
    )


def test_a_template_of_axolotl_is_tried(checked):
    pytest.importorskip("axolotl", reason="needs the extra [train]")
    outcome = checked(None, **SYSTEM, **{"model.chat_template": "gemma"})
    assert outcome.code == 1 and "the chat template gemma refuses 3 of the first 3 rows" in outcome.err


def test_a_model_that_is_not_local_is_not_checked(checked):
    assert checked(BROKEN, **{"model.base_model": "nobody/nothing"}).code == 0


def test_a_template_that_writes_the_date_is_noted(tmp_path, recipe_file, minimal):
    (tmp_path / "tokenizer_config.json").write_text("{}")
    noted = {}
    for name, template in {"dated": "{{ strftime_now('%d %b %Y') }}" + TEMPLATE, "plain": TEMPLATE}.items():
        (tmp_path / "chat_template.jinja").write_text(template)
        noted[name] = date_note(load_recipe(str(recipe_file(to_yaml(minimal({"model.base_model": str(tmp_path)})), "r.yml"))).recipe)
    assert noted["dated"].startswith("the chat template writes today's date") and noted["plain"] == ""


def test_torch_is_not_loaded(tmp_path):
    code = "import sys, recipekit.runner.workflows.check_data; assert not {'torch', 'transformers', 'axolotl'} & sys.modules.keys()"
    subprocess.run([sys.executable, "-c", code], check=True)
