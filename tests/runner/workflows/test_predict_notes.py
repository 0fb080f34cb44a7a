"""How `recipe predict` reads rows otherwise than the training did, and that it says so."""

import json
from pathlib import Path
from typing import Any

import pytest
from recipekit.converters.building.unanswered import read_unanswered
from recipekit.runner.models.reference import ModelReference
from recipekit.runner.workflows.predict import Job, job_of, notes_of

from ...support.run_files import manifest_with
from ...support.tiny import CLASSIFICATION, RECIPE

NOTHING = dict.fromkeys(("system", "temperature", "top_p", "max_tokens", "seed"))


def job(folder: Path, recipe: str, kind: str, source: tuple[str, dict[str, Any]] | None, **given: Any) -> Job:
    """How a file of posts is read for the model of a run with this recipe."""
    (folder / "recipe.yml").write_text(recipe.format(model="some/model"))
    (folder / "new.txt").write_text("an INFJ plays chess|||a library\n")
    target = ModelReference("m", "", "", "", "", "", kind=kind, run=str(folder))
    return job_of(target, str(folder / "new.txt"), source, None, {**NOTHING, **given})


def test_texts_for_a_classifier_get_the_form_of_its_training_by_any_converter(tmp_path: Path) -> None:
    made = job(tmp_path, CLASSIFICATION, "classification", ("text", {"sample_by": "line"}))
    assert [row.fields for row in read_unanswered(made.reading)] == [{"text": "1. an [TYPE] plays chess\n2. a library"}]
    assert notes_of(made) == [("texts", "converted as the rows of the training: mbti")]


@pytest.mark.parametrize("source", [None, ("mbti", {"mask": False})])
def test_the_converter_of_the_training_is_taken_at_its_word(tmp_path: Path, source: tuple[str, dict[str, Any]] | None) -> None:
    made = job(tmp_path, CLASSIFICATION, "classification", source)
    assert made.reading.form is None and notes_of(made) == []


def test_rows_without_the_prompts_of_the_training_are_told(tmp_path: Path) -> None:
    recipe = RECIPE.replace("  system_prompt: Be brief.\n", "")
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "manifest.json").write_text(json.dumps(manifest_with(own_prompts=43, splits={"train": 60})))
    lines = ("text", {"sample_by": "line"})
    told = "rows without a system prompt get none (43 of 60 training rows have a system prompt; set one with --system)"
    assert notes_of(job(tmp_path, recipe, "chat", lines)) == [("system", told)]
    assert notes_of(job(tmp_path, recipe, "chat", lines, system="Be brief.")) == []
