"""Tiny models: of the real configuration and tokenizer where they are at hand, else of what is public; made once."""

import json
import shutil
from pathlib import Path
from types import SimpleNamespace

import pytest
from recipekit.runner.models import tiny
from recipekit.runner.models.chat_templates import axolotl_template
from recipekit.runner.models.tiny import tiny_model as make_tiny
from recipekit.runner.runtime import child_environment
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.base.redact import redact
from recipekit.schemas.sections import Model

LLAMA3 = "meta-llama/Llama-3.2-3B-Instruct"


@pytest.fixture
def hub(tmp_path, monkeypatch):
    """A hub that cannot be reached, and an empty cache of it; gives a function that puts a model's small files into the cache."""
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", True)
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_CACHE", str(tmp_path / "hub"))

    def put(name: str, folder: Path) -> None:
        place = tmp_path / "hub" / f"models--{name.replace('/', '--')}"
        snapshot = place / "snapshots" / ("a" * 40)
        shutil.copytree(folder, snapshot, ignore=shutil.ignore_patterns("*.safetensors"))
        (place / "refs").mkdir()
        (place / "refs" / "main").write_text("a" * 40)

    return put


@pytest.fixture
def forking(warm, monkeypatch):
    """What writes a tiny model is a fork of a process that has imported what it needs."""
    monkeypatch.setattr(child_environment, "subprocess", SimpleNamespace(run=lambda argv, env, **_: warm(*argv[1:], env=env)))


def facts(warm, folder: Path) -> dict:
    """What the tiny model's tokenizer and model are when loaded, read by a process of its own: torch and its warnings stay out of this one."""
    done = warm("-m", "tests.support.model_facts", folder)
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def test_a_tiny_model_has_the_real_class_tokens_and_template(hub, tiny_model, warm, forking, tmp_path):
    made = make_tiny(Model("x"), LLAMA3, None, lambda: tiny_model, tmp_path / "cache")
    assert made.note == f"a tiny random {LLAMA3} with SmolLM2's tokenizer", "the rest of a line of 80 characters, in every smoke command"
    found = facts(warm, made.folder)
    assert found["class"] == "LlamaForCausalLM" and len(set(found["vocabulary"])) == 1
    assert found["tokens"] == {"bos": "<|begin_of_text|>", "eos": "<|eot_id|>", "pad": None, "unk": None}
    assert len(found["ids"]) == 1  # one token, not its letters
    assert found["chat"].startswith("<|begin_of_text|><|start_header_id|>user<|end_header_id|>\n\nHi<|eot_id|>")
    assert (found["config"]["eos"], found["config"]["pad"]) == (found["ids"][0], None)


def test_a_folder_gives_its_own_configuration_and_tokenizer(tiny_gpt2, warm, forking, tmp_path):
    made = make_tiny(Model("x"), str(tiny_gpt2), tiny_gpt2, lambda: 1 / 0, tmp_path / "cache")
    found = facts(warm, made.folder)
    assert found["class"] == "GPT2LMHeadModel"
    assert found["tokens"]["eos"] == "<|endoftext|>" and found["chat"] is None
    assert made.note == f"a tiny random {tiny_gpt2}"
    assert make_tiny(Model("x"), str(tiny_gpt2), tiny_gpt2, lambda: 1 / 0, tmp_path / "cache") == made


@pytest.mark.parametrize("name", ["config.json", "model.safetensors", "tokenizer.json", "sealed.json"])
def test_a_tiny_model_that_was_edited_is_made_again(tiny_gpt2, warm, forking, tmp_path, name):
    """Its identity and its note say what it was made of."""
    made = make_tiny(Model("x"), str(tiny_gpt2), tiny_gpt2, Path, tmp_path)
    path = made.folder / name
    before = path.read_bytes()
    path.write_bytes(before.replace(b"a", b"b", 1))
    again = make_tiny(Model("x"), str(tiny_gpt2), tiny_gpt2, Path, tmp_path)
    assert (again, path.read_bytes()) == (made, before)
    (unused := made.folder / "unused").touch()
    make_tiny(Model("x"), str(tiny_gpt2), tiny_gpt2, Path, tmp_path)
    assert unused.exists()  # what is whole is not made again


def test_the_identity_of_a_tiny_model_is_not_redacted(tiny_gpt2, forking, tmp_path):
    """A run's lock.json has it; merge, resume and reproduce compare it."""
    made = make_tiny(Model("x"), "embedded:smollm2-135m-instruct", tiny_gpt2, lambda: 1 / 0, tmp_path / "cache")
    assert redact(made.identity) == made.identity


def test_the_hubs_configuration_precedes_the_public_one(hub, tiny_model, tmp_path, monkeypatch):
    hub(LLAMA3, tiny_model)
    built = []
    monkeypatch.setattr(tiny, "_build", lambda folder, name, request: built.append(request) or (folder / "tiny.json").write_text("{}"))
    made = make_tiny(Model("x"), LLAMA3, None, lambda: 1 / 0, tmp_path / "cache")
    assert made.note == f"a tiny random {LLAMA3}"
    assert built[0]["config"]["intermediate_size"] == 128 and built[0]["tokens"] is None


def test_an_unknown_model_has_no_tiny_model(hub, tmp_path):
    with pytest.raises(UserError, match="no tiny model can be made from it for the smoke run: the hub cannot be reached") as caught:
        make_tiny(Model("x"), "some/model", None, lambda: 1 / 0, tmp_path)
    assert "--set smoke.model.base_model=embedded:" in caught.value.problems[0].hint


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ("{}", "names no architecture"),
        ("{", "cannot be read"),
        ('{"architectures": ["X"], "model_type": "x"}', "no num_hidden_layers"),
        ('{"architectures": ["X"], "model_type": "x", "n_layer": 9, "n_embd": 9, "n_head": 9}', "Unrecognized model identifier: x"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_reported(tmp_path, config, why):
    (tmp_path / "config.json").write_text(config)
    with pytest.raises(UserError, match=f"no tiny model can be made from it for the smoke run: .*({why})"):
        make_tiny(Model("x"), "m", tmp_path, lambda: 1 / 0, tmp_path / "cache")
    assert not list((tmp_path / "cache").glob("tiny-models/*/config.json"))


@pytest.mark.parametrize("name", ["llama3", "qwen_25", "chatml"])
def test_a_chat_template_is_axolotls_own(name):
    assert "message" in axolotl_template(name)
