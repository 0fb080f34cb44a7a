"""A model folder that would run, fetch or hang something is refused in a line before anything is loaded."""

import json
import pickle
from pathlib import Path

import pytest
from recipekit.runner.models.folder_check import check_model_folder
from recipekit.runner.models.resolve import resolve_model
from recipekit.runner.models.template_check import template_fault
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Model

from ...support.tiny import TEMPLATE

pytest.importorskip("jinja2", reason="needs the extra [eval]")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama", "attn_implementation": "sdpa"}')
    (folder / "model.safetensors").write_bytes(b"weights")
    (folder / "chat_template.jinja").write_text(TEMPLATE)
    return folder


def problems(folder: Path) -> list[str]:
    with pytest.raises(UserError) as refused:
        check_model_folder(folder)
    return [str(problem) for problem in refused.value.problems]


def test_a_valid_folder_passes(model) -> None:
    check_model_folder(model)


@pytest.mark.parametrize(
    "values",
    [
        {"_attn_implementation": "someone/kernel"},
        {"attn_implementation": "someone/kernel@main:function"},
        {"_attn_implementation_internal": "someone/kernel"},
        {"text_config": {"_attn_implementation_internal": "x/y"}},
        {"layers": [{"deep": {"_attn_implementation": "flash|x/y"}}]},
        {"attn_implementation": {"text_config": "x/y"}},
        {"_attn_implementation": 7},
    ],
)
def test_an_attention_that_would_be_fetched_is_refused(model, values) -> None:
    (model / "config.json").write_text(json.dumps(values))
    (message,) = problems(model)
    assert "config.json: " in message and "names code to fetch and run" in message


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "adapter_model.bin", "x.ckpt"])
def test_pickled_weights_without_safetensors_are_refused(model, name) -> None:
    (model / "model.safetensors").unlink()
    (model / name).write_bytes(pickle.dumps({"weight": 1}))
    (message,) = problems(model)
    assert f"{name}: stores the weights as a pickle" in message


def test_an_index_that_leads_out_of_the_folder_is_refused(model) -> None:
    (model / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": {"a": "model.safetensors", "b": "../../secret.safetensors"}})
    )
    assert "names a file outside the folder: '../../secret.safetensors'" in problems(model)[0]


@pytest.mark.parametrize("text", ["[" * 100_000, "{", "[]", "null", '{"a": 1' + "0" * 5000 + "}"])
def test_a_configuration_that_is_none_is_refused(model, text) -> None:
    (model / "config.json").write_text(text)
    assert "config.json: is not" in problems(model)[0]


FAULTS = {
    "takes more than 5 seconds": "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
    "needs more than 1 GB of memory": "{{ 'x' * 10000000000 }}",
    "produces more than 1,048,576 characters": "{% for a in range(99999) %}{{ 'x' * 100 }}{% endfor %}",
    "recurses without end": "{% macro again() %}{{ again() }}{% endmacro %}{{ again() }}",
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("place", ["chat_template.jinja", "tokenizer_config.json", "additional_chat_templates/tool.jinja"])
def test_a_template_beyond_the_limits_ends_with_one_plain_line(model, fault, place) -> None:
    (model / place).parent.mkdir(exist_ok=True)
    (model / place).write_text(
        FAULTS[fault] if place.endswith("jinja") else json.dumps({"chat_template": [{"name": "x", "template": FAULTS[fault]}]})
    )
    with pytest.raises(UserError) as refused:
        resolve_model(Model(str(model)), model.parent / "runs")
    (problem,) = refused.value.problems
    assert problem.location.file.endswith(place) and problem.what.startswith(f"the chat template {fault}")


HARMLESS = [
    "", TEMPLATE, "{{ raise_exception('no system') }}", "{{ messages[7].content }}", "{% generation %}{{ messages[0].content }}{% endgeneration %}",
    "{{ strftime_now('%Y') }}{{ messages | tojson(indent=2) }}{% for m in messages %}{% break %}{% endfor %}", "{% if", "{{ undefined.name.more }}",
    "{% set n = namespace(x=0) %}{% for m in messages %}{% set n.x = n.x + 1 %}{{ m.role }}{% endfor %}",
]  # fmt: skip


@pytest.mark.parametrize("template", HARMLESS)
def test_other_templates_pass(template) -> None:
    assert template_fault(template) == ""


def test_every_stock_template_passes() -> None:
    templates = pytest.importorskip("axolotl.utils.chat_templates", reason="needs the extra [train]")
    found = sorted((Path(templates.__file__).parent / "templates").glob("*.jinja"))
    assert len(found) > 10
    assert {path.name: fault for path in found[::6] if (fault := template_fault(path.read_text("utf-8")))} == {}
