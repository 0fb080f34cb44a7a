"""A model folder that would run, fetch or hang something is refused in a line before anything is loaded."""

import base64
import json
import os
import pickle
import re
from pathlib import Path

import pytest
from recipekit.runner.models.folder_check import check_model_folder
from recipekit.runner.models.resolve import resolve_model
from recipekit.runner.models.template_check import template_fault
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Model

from ...support.tiny import TEMPLATE

NO_WEIGHTS = b"\2" + bytes(7) + b"{}"

pytest.importorskip("jinja2", reason="needs the extra [eval]")


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "model"
    folder.mkdir()
    (folder / "config.json").write_text('{"model_type": "llama", "attn_implementation": "sdpa"}')
    (folder / "model.safetensors").write_bytes(NO_WEIGHTS)
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


INDEXES = {
    "a file that is no safetensors": {"weight_map": {"a": "pytorch_model.bin"}},
    "outside the folder": {"weight_map": {"a": "/etc/passwd"}},
    "a file that is no safetensors: '..'": {"weight_map": {"a": ".."}},
    "names no files": {"weight_map": {"a": None}},
    "names no files: weight_map": {"metadata": {}},
    "names no files: weight_map must give": {"weight_map": ["model.safetensors"]},
}


@pytest.mark.parametrize("what", INDEXES)
def test_an_index_names_safetensors_of_the_folder_and_nothing_else(model, what) -> None:
    (model / "model.safetensors").unlink()
    (model / "model.safetensors.index.json").write_text(json.dumps(INDEXES[what]))
    (message,) = problems(model)
    assert "model.safetensors.index.json: names " in message and what in message


def test_pickles_that_an_index_names_are_not_taken_for_safetensors(model) -> None:
    """transformers loads what the index names, although it was asked for safetensors."""
    (model / "model.safetensors").unlink()
    (model / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": 1}))
    (model / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": {"weight": "pytorch_model.bin"}}))
    assert "names a file that is no safetensors: 'pytorch_model.bin'" in problems(model)[0]


STRANGE = {
    "a pipe": os.mkfifo,
    "a device": lambda path: path.symlink_to("/dev/zero"),
    "a folder": Path.mkdir,
}


@pytest.mark.parametrize("kind", STRANGE)
@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "adapter_config.json", "tokenizer.model", "chat_template.jinja"])
def test_what_is_no_regular_file_is_refused_before_it_is_read(model, name, kind) -> None:
    (model / name).unlink(missing_ok=True)
    STRANGE[kind](model / name)
    (message,) = problems(model)
    assert f"{name}: is no regular file" in message


@pytest.mark.parametrize("name", ["chat_template.jinja", "additional_chat_templates/tool.jinja", "tokenizer_config.json", "LICENSE"])
def test_a_link_to_a_file_of_another_name_is_refused(model, tmp_path, name) -> None:
    """A cloned repository could make a key of this machine the chat template, which is saved with what is trained, and pushed."""
    (tmp_path / "id_ed25519").write_text("the key")
    (model / name).parent.mkdir(exist_ok=True)
    (model / name).unlink(missing_ok=True)
    (model / name).symlink_to(tmp_path / "id_ed25519")
    (message,) = problems(model)
    assert f"{name}: is a link to a file of another name: {tmp_path / 'id_ed25519'}" in message


def test_links_of_the_hubs_cache_and_to_the_files_of_another_model_pass(model, tmp_path) -> None:
    (blobs := tmp_path / "models--a--b" / "blobs").mkdir(parents=True)
    for place in (blobs / ("0f" * 20), tmp_path / "other" / "chat_template.jinja"):
        place.parent.mkdir(exist_ok=True)
        place.write_text(TEMPLATE)
        (model / "chat_template.jinja").unlink()
        (model / "chat_template.jinja").symlink_to(place)
        check_model_folder(model)
    (model / "model.safetensors").rename(tmp_path / "weights-of-mine.safetensors")
    (model / "model.safetensors").symlink_to(tmp_path / "weights-of-mine.safetensors")
    check_model_folder(model)


@pytest.mark.parametrize(
    "name", ["vocab.txt", "vocab.json", "merges.txt", "tokenizer.model", "spiece.model", "chat_template.jinja", "tekken.json"]
)
def test_a_file_of_a_tokenizer_of_a_gigabyte_is_not_read(model, name) -> None:
    with (model / name).open("wb") as file:
        file.truncate(1 << 30)
    assert f"{name}: has 1,073,741,824 bytes" in problems(model)[0]


@pytest.mark.parametrize(
    "name", ["config.json", "generation_config.json", "tokenizer_config.json", "special_tokens_map.json", "added_tokens.json"]
)
def test_a_configuration_of_20_megabytes_is_not_read(model, name) -> None:
    (model / name).write_bytes(b'{"a": "' + b"a" * 20_000_000 + b'"}')
    assert f"{name}: has 20,000,009 bytes; a configuration may have at most" in problems(model)[0]


def test_a_hundred_thousand_special_tokens_are_refused(model) -> None:
    (model / "tokenizer_config.json").write_text(json.dumps({"extra_special_tokens": [f"<{i}>" for i in range(100_000)]}))
    assert "tokenizer_config.json: extra_special_tokens has 100,000 tokens" in problems(model)[0]


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


@pytest.mark.parametrize(
    "given", [[FAULTS["recurses without end"]], {"default": FAULTS["recurses without end"]}, FAULTS["recurses without end"]]
)
def test_a_template_is_checked_in_every_form_of_the_settings(model, given) -> None:
    (model / "tokenizer_config.json").write_text(json.dumps({"chat_template": given}))
    assert "tokenizer_config.json: the chat template recurses without end" in problems(model)[0]


@pytest.mark.parametrize("given", [3, [3], [{"name": "default", "template": 4}], {"default": ["a"]}, "\\ud800"], ids=str)
def test_a_template_that_is_no_text_is_refused(model, given) -> None:
    (model / "tokenizer_config.json").write_text(json.dumps({"chat_template": given}).replace("\\\\", "\\"))
    assert "tokenizer_config.json: the chat template is no text" in problems(model)[0]


def test_a_thousand_templates_are_not_tried(model) -> None:
    (model / "tokenizer_config.json").write_text(json.dumps({"chat_template": {str(number): str(number) for number in range(1000)}}))
    assert "has 1,001 chat templates; at most 20 are tried" in problems(model)[0]


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


def tokenizer(**parts) -> str:
    return json.dumps({"version": "1.0", "added_tokens": [], "model": {"type": "WordLevel", "vocab": {"a": 0}, "unk_token": "a"}, **parts})


def split(pattern: str) -> str:
    return tokenizer(pre_tokenizer={"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False})


def charsmap(content: bytes) -> str:
    return tokenizer(normalizer={"type": "Precompiled", "precompiled_charsmap": base64.b64encode(content).decode()})


_GROW = {"type": "Replace", "pattern": {"String": "a"}, "content": "a" * 1000}
TOKENIZERS = {
    "a pattern that backtracks in words": (split(r"(\w+\s?)+$"), "cannot be used: "),
    "a pattern that backtracks in one letter": (split(r"(q+q+)+z"), "cannot be used: "),
    "a pattern that is none": (split("(("), "cannot be used: "),
    "an empty table": (charsmap(b""), "cannot be used: "),
    "a table without an end": (charsmap(b"\xff\xff\xff\x7f" + bytes(range(256))), "needs more than 1 GB of memory"),
    "a table that leads out of itself": (charsmap(bytes(400)), "cannot be used: "),
    "letters that grow a billion-fold": (tokenizer(normalizer={"type": "Sequence", "normalizers": [_GROW] * 3}), "needs more than 1 GB of memory"),
    "an unknown part": (tokenizer(normalizer={"type": "Evil"}), "cannot be used: "),
    "a deep sequence": (tokenizer(normalizer=0).replace("0}", '{"type":"Sequence","normalizers":[' * 900 + "]}" * 900 + "}"), "is not JSON: |cannot be used: "),
    "a word with a huge number": (json.dumps({"model": {"type": "WordLevel", "vocab": {"a": 4 * 10**9}}}), "has a token with the number 4,000,000,000"),
    "a token with a huge number": (json.dumps({"added_tokens": [{"id": 2**31, "content": "a"}]}), "has a token with the number 2,147,483,648"),
    "many tokens": (json.dumps({"added_tokens": [{"id": number, "content": str(number)} for number in range(200_000)]}), "adds 200,000 tokens"),
    "merges left out at random": (json.dumps({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "dropout": 0.1}}), "leaves out merges at random"),
    "no JSON": ("{", "is not JSON: "),
    "a list": ("[]", "is not a JSON object"),
}  # fmt: skip


@pytest.mark.parametrize("name", TOKENIZERS)
def test_a_tokenizer_beyond_the_limits_ends_with_one_plain_line(model, name) -> None:
    pytest.importorskip("tokenizers", reason="needs the extra [train]")
    text, fault = TOKENIZERS[name]
    (model / "tokenizer.json").write_text(text)
    (message,) = problems(model)
    assert re.search(f"tokenizer.json: ({fault})", message) and "\n" not in message.partition("hint")[0].strip()


def test_a_tokenizer_of_a_gigabyte_is_not_read(model) -> None:
    with (model / "tokenizer.json").open("wb") as file:
        file.truncate(1 << 30)
    assert "tokenizer.json: has 1,073,741,824 bytes" in problems(model)[0]


SOUND = {
    "of Llama 3": split(r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"),
    "of bytes": tokenizer(pre_tokenizer={"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}, decoder={"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True, "use_regex": True}),
    "of SentencePiece": tokenizer(normalizer={"type": "Sequence", "normalizers": [{"type": "Prepend", "prepend": "▁"}, {"type": "Replace", "pattern": {"String": " "}, "content": "▁"}]}),
    "without parts": tokenizer(),
    "without dropout": json.dumps({"model": {"type": "BPE", "vocab": {"a": 0}, "merges": [], "dropout": 0.0}}),
}  # fmt: skip


@pytest.mark.parametrize("name", SOUND)
def test_other_tokenizers_pass(model, name) -> None:
    (model / "tokenizer.json").write_text(SOUND[name])
    check_model_folder(model)


OTHERS = {
    "experts that are fetched": ("config.json", {"experts_implementation": "sonicmoe"}, "names code to fetch and run: 'sonicmoe'"),
    "experts of a part": ("config.json", {"text_config": {"_experts_implementation": {"": "x/y"}}}, "names code to fetch and run: 'x/y'"),
    "other weights": ("config.json", {"transformers_weights": "weights.bin"}, "names another file of weights: 'weights.bin'"),
    "adapters of adapters": ("adapter_config.json", {"peft_type": "XLORA", "adapters": {"a": "evil/adapter"}}, "mixes other adapters"),
}  # fmt: skip


@pytest.mark.parametrize("name", OTHERS)
def test_what_names_something_outside_the_folder_is_refused(model, name) -> None:
    file, values, what = OTHERS[name]
    (model / file).write_text(json.dumps(values))
    (message,) = problems(model)
    assert f"{file}: " in message and what in message


def test_pickled_weights_beside_safetensors_that_nothing_loads_are_refused(model) -> None:
    (model / "model.safetensors").rename(model / "other.safetensors")
    (model / "pytorch_model.bin").write_bytes(pickle.dumps({"weight": 1}))
    assert "pytorch_model.bin: stores the weights as a pickle" in problems(model)[0]
    (model / "other.safetensors").rename(model / "model.safetensors")
    check_model_folder(model)  # then these are loaded, and the pickle is not


def test_a_base_model_with_an_adapter_in_its_folder_is_refused(model) -> None:
    (model / "adapter_config.json").write_text('{"peft_type": "LORA", "base_model_name_or_path": "evil/model"}')
    with pytest.raises(UserError, match="holds an adapter"):
        resolve_model(Model(str(model)), model.parent / "runs")
