"""Files of prompts: one a line, or JSON Lines; errors are reported at their line."""

import json
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.evaluation_sections import SamplePrompts
from recipekit.schemas.recipe import check_recipe, load_recipe
from recipekit.schemas.sample_prompts import sample_texts
from recipekit.schemas.yaml_writing import to_yaml

LINES = st.text(st.characters(codec="utf-8", exclude_characters="\n\r\ufeff"), max_size=20)


def written(path: Path, text: str) -> list[str]:
    path.write_text(text, encoding="utf-8", newline="")
    return sample_texts(SamplePrompts(path=str(path)))


def faults(path: Path, text: str) -> list[tuple[int, str]]:
    with pytest.raises(UserError) as raised:
        written(path, text)
    return [(problem.location.line, problem.what) for problem in raised.value.problems]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(lines=st.lists(LINES, max_size=20).filter(lambda lines: any(line.strip() for line in lines)), end=st.sampled_from(["\n", "\r\n"]))
def test_every_line_that_is_not_blank_is_a_prompt(tmp_path, lines, end):
    kept = [line for line in lines if line.strip()]
    assert written(tmp_path / "prompts.txt", end.join(lines)) == [line.strip() for line in kept]
    objects = [json.dumps({"prompt": line}, ensure_ascii=False) for line in kept]
    assert written(tmp_path / "prompts.jsonl", end.join(objects)) == kept


@pytest.mark.parametrize(
    ("line", "what"),
    [
        ('{"prompt": "a", "label": 1}', "has the keys label, prompt; expected only the key prompt"),
        ("{}", "has the keys (none); expected only the key prompt"),
        ('"a"', "is not an object; expected only the key prompt"),
        ('{"prompt": ["a"]}', "prompt is not text"),
        ('{"prompt": " "}', "prompt is blank"),
    ],
)
def test_a_line_that_is_not_a_prompt_is_named(tmp_path, line, what):
    assert faults(tmp_path / "p.jsonl", f'{{"prompt": "a"}}\n\n{line}\n') == [(3, what)]


def test_a_file_has_1_to_200_prompts(tmp_path):
    assert len(written(tmp_path / "p.txt", "x\n" * 200)) == 200
    assert faults(tmp_path / "p.txt", "x\n" * 201) == [(0, "has 201 prompts; 1 to 200 are allowed")]
    assert faults(tmp_path / "p.txt", " \n\n") == [(0, "has 0 prompts; 1 to 200 are allowed")]


def test_check_finds_what_is_wrong_with_the_file_and_a_stored_recipe_is_read_without_it(recipe_file, minimal, tmp_path):
    recipe = recipe_file(to_yaml(minimal({"evaluation.prompts.path": "own/prompts.jsonl"})))
    (problem,) = check_recipe(recipe)
    assert problem.what == f"{tmp_path}/own/prompts.jsonl: no such file"
    assert (problem.location.file, recipe.read_text().splitlines()[problem.location.line - 1].strip()) == (
        str(recipe),
        "path: own/prompts.jsonl",
    )
    assert load_recipe(str(recipe)).recipe.evaluation.prompts == SamplePrompts(path=f"{tmp_path}/own/prompts.jsonl")
    (tmp_path / "own").mkdir()
    (tmp_path / "own" / "prompts.jsonl").write_text('{"prompt": "a"}\n{"prompt"\n')
    (problem,) = check_recipe(recipe)
    assert (problem.location.file, problem.location.line) == (f"{tmp_path}/own/prompts.jsonl", 2)
    (tmp_path / "own" / "prompts.jsonl").write_bytes(b'{"prompt": "a"}\n{"prompt": "\xff"}\n')
    (problem,) = check_recipe(recipe)
    assert (problem.location.line, problem.what) == (2, "not UTF-8 text")
    (tmp_path / "own" / "prompts.jsonl").write_text('{"prompt": "a"}\n')
    assert check_recipe(recipe) == []


def test_the_file_is_relative_to_the_recipe_that_names_it(recipe_file, minimal, tmp_path):
    (tmp_path / "base").mkdir()
    recipe_file(to_yaml(minimal({"evaluation.prompts.path": "prompts.txt"})), "base.yml", tmp_path / "base")
    child = recipe_file("recipe: 1\nname: child\nextends: base/base.yml\n", "child.yml")
    assert load_recipe(str(child)).recipe.evaluation.prompts == SamplePrompts(path=f"{tmp_path}/base/prompts.txt")
