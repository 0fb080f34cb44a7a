"""Prompt files: read, refused, filled; examples chosen."""

from pathlib import Path

import pytest
from recipekit.runner.providers.requests import chosen_examples, messages
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.prompts import PROMPTS, Example, Prompt, load_prompt


@pytest.mark.parametrize("path", sorted(PROMPTS.glob("*.yml")), ids=lambda path: path.stem)
def test_a_shipped_prompt_loads_by_its_name(path: Path) -> None:
    prompt = load_prompt(path.stem)
    assert prompt.placeholders
    assert load_prompt(str(path)) == prompt


def test_a_prompt_is_filled_once_and_other_braces_stay() -> None:
    prompt = Prompt("p.yml", 'Say {"a": 1} about {text}', system="Be {tone}.")
    assert messages(prompt, {"text": "{tone}", "tone": "kind", "more": 1}) == (
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": 'Say {"a": 1} about {tone}'},
    )


def test_an_unfilled_placeholder_is_reported() -> None:
    with pytest.raises(UserError, match=r"p.yml: \{emotoin\} has no value\n    hint: valid keys: \{emotion\}"):
        messages(Prompt("p.yml", "{emotoin}"), {"emotion": "joy"})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("prompt: 1\n", "missing key 'user'"),
        ("prompt: 1\nuser: hi\nsytem: be kind\n", "did you mean 'system'"),
        ("prompt: 2\nuser: hi\n", "expected 1"),
        ("prompt: 1\nuser: hi\nexamples: [{input: a}]\n", "missing key 'output'"),
    ],
)
def test_a_file_that_is_not_a_prompt_is_refused_with_its_location(tmp_path: Path, text: str, message: str) -> None:
    path = tmp_path / "p.yml"
    path.write_text(text)
    with pytest.raises(UserError, match=message) as error:
        load_prompt(str(path))
    assert str(path) in str(error.value)


def test_an_unknown_name_gets_the_existing_ones() -> None:
    with pytest.raises(UserError, match="emollm_multi_turn"):
        load_prompt("emolm")


EXAMPLES = tuple(Example(f"in{n}", f"out{n}", "joy" if n < 4 else None) for n in range(8))


def test_examples_are_those_of_the_emotion_and_a_function_of_the_seed() -> None:
    prompt = Prompt("p", "{examples}", example="{emotion}: {input} -> {output}", examples=EXAMPLES)
    joy = chosen_examples(prompt, "joy", 3, "a")
    assert joy == chosen_examples(prompt, "joy", 3, "a")
    assert len({chosen_examples(prompt, "joy", 3, str(seed)) for seed in range(20)}) > 5
    assert all(line.startswith("joy: in") and int(line[7]) < 4 for line in joy.splitlines())
    assert all(int(line.split("in")[1][0]) >= 4 for line in chosen_examples(prompt, "grief", 2, "a").splitlines())
    assert len(chosen_examples(prompt, "joy", 99, "a").splitlines()) == 4
    assert chosen_examples(prompt, "joy", 0, "a") == ""
