"""Where settings come from, and which are refused."""

import json
from pathlib import Path

import pytest
from recipekit.runner.inference.chat_settings import settings_of, system_of
from recipekit.runner.models.reference import ModelReference
from recipekit.schemas.base.errors import UserError

from ...support.run_files import manifest_with

NOTHING = dict.fromkeys(("system", "temperature", "top_p", "repetition_penalty", "max_tokens", "seed"))
PLAIN = ModelReference("some/model", "some/model", "", "some/model", "", "")
RECIPE = """recipe: 1
name: small
model: {base_model: some/model}
data: {type: chat, system_prompt: Be brief., sources: [{path: rows.jsonl, converter: messages}]}
training: {adapter: lora, learning_rate: 1e-4}
evaluation: {metrics: [reply_tokens], generation: {temperature: 0.5, top_p: 0.9, max_new_tokens: 12}}
"""


def test_a_plain_model_is_asked_greedily() -> None:
    found = settings_of(PLAIN, NOTHING)
    assert (found.temperature, found.max_new_tokens, found.system, found.seed) == (0, 256, None, None)
    assert str(found) == "temperature 0 (always the likeliest token), at most 256 tokens per reply"


def test_a_run_is_sampled_as_it_was_evaluated(tmp_path: Path) -> None:
    (tmp_path / "recipe.yml").write_text(RECIPE)
    target = PLAIN._replace(run=str(tmp_path), kind="chat", system_prompt="Be brief.")
    found = settings_of(target, NOTHING)
    assert (found.temperature, found.top_p, found.max_new_tokens) == (0.5, 0.9, 12)
    assert (found.system, found.system_note) == ("Be brief.", "the recipe's")
    given = settings_of(target, {**NOTHING, "temperature": 1.0, "max_tokens": 3, "seed": 0, "system": "Be long."})
    assert (given.temperature, given.top_p, given.max_new_tokens, given.seed) == (1.0, 0.9, 3, 0)
    assert (given.system, given.system_note) == ("Be long.", "--system")
    assert settings_of(target, {**NOTHING, "system": ""}).system is None
    assert str(given) == "temperature 1, top_p 0.9, seed 0, at most 3 tokens per reply"


def test_without_a_prompt_of_the_recipe_it_is_told_how_many_training_rows_had_one(tmp_path: Path) -> None:
    (tmp_path / "recipe.yml").write_text(RECIPE.replace("system_prompt: Be brief., ", ""))
    target = PLAIN._replace(run=str(tmp_path), kind="chat")
    assert system_of(target, None) == (None, "")
    (tmp_path / "data").mkdir()
    for own, rows, told in ((43, 1060, "43 of 1,060 training rows have"), (1, 1, "1 of 1 training row has")):
        manifest = manifest_with(own_prompts=own, splits={"train": rows})
        (tmp_path / "data" / "manifest.json").write_text(json.dumps(manifest))
        found = settings_of(target, NOTHING)
        assert (found.system, found.system_note) == (None, f"{told} a system prompt; set one with --system")
    for given in ("", "Be long."):
        assert system_of(target, given) == (given or None, "--system")


@pytest.mark.parametrize(
    ("kind", "given", "what"),
    [
        ("classification", {"max_tokens": 3}, "--max-tokens has no effect"),
        ("classification", {"system": "x"}, "--system has no effect"),
        ("", {"seed": 1}, "--seed has no effect at temperature 0"),
        ("", {"top_p": 0.5, "temperature": 0.0}, "--top-p has no effect at temperature 0"),
    ],
)
def test_options_without_effect_are_refused(kind: str, given: dict, what: str) -> None:
    with pytest.raises(UserError, match=what):
        settings_of(PLAIN._replace(kind=kind), {**NOTHING, **given})
