"""A text gets the form of the rows that a classifier was trained on."""

from pathlib import Path
from typing import Any

import pytest
from recipekit.converters.building.training_form import TrainingForm
from recipekit.converters.building.unanswered import Reading, read_unanswered
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Data, Source

POSTS = TrainingForm("mbti", {"max_posts": 2, "dimension": "EI"})
TRAINED = "1. so [TYPE], today\n2. second"


@pytest.mark.parametrize("text", ["so INFJ, today|||second|||third", "'so infj, today|||second'", "1. so INFJ, today\n2. second", TRAINED])
def test_posts_are_numbered_and_masked_once(text: str) -> None:
    assert POSTS.read(text) == TRAINED


@pytest.mark.parametrize(
    ("converter", "options", "text"),
    [
        ("table", {"text_key": "review.body", "label_names": {"1": "good"}}, "Dull."),
        ("table", {"text_template": "{title}\n{body}"}, "INFJ|||Dull."),
        ("introspection", {}, "INFJ|||Dull."),
        ("text", {}, " INFJ|||Dull."),
    ],
)
def test_texts_whose_training_changed_nothing_or_needed_more_than_a_text_stay(converter: str, options: dict[str, Any], text: str) -> None:
    assert TrainingForm(converter, options).read(text) == text


def test_misread_characters_are_repaired_where_the_training_repaired_them() -> None:
    assert TrainingForm("table", {}).read("CafÃ© mit KrÃ¤utern") == "Café mit Kräutern"
    assert TrainingForm("table", {}, fix_mojibake=False).read("CafÃ© mit KrÃ¤utern") == "CafÃ© mit KrÃ¤utern"


def test_a_text_without_a_row_is_refused_with_the_reason() -> None:
    with pytest.raises(UserError, match=r"'\|\|\|' cannot be classified: no posts: every post is blank"):
        POSTS.read("|||")


def test_it_says_how_texts_are_read() -> None:
    data = Data("classification", (Source("x.csv", "mbti", {"max_posts": 2}), Source("y.csv", "table")))
    assert str(TrainingForm.of(data)) == "converted as the rows of the training: mbti, max_posts: 2"
    told = str(TrainingForm("introspection", {}))
    assert told.startswith("read as they are; the rows of the training were converted by introspection")


def test_lines_of_a_text_file_are_brought_into_the_form_and_keep_their_own_text(tmp_path: Path) -> None:
    (tmp_path / "new.txt").write_text("so INFJ, today|||second\n|||\n")
    reading = Reading(Source(str(tmp_path / "new.txt"), "text", {"sample_by": "line"}), "classification", form=POSTS)
    first, second = read_unanswered(reading)
    assert (first.columns, first.fields) == ({"text": "so INFJ, today|||second"}, {"text": TRAINED})
    assert (second.columns, second.fields) == ({"text": "|||"}, {}) and second.fault.endswith("every post is blank")
