"""Labels of a classifier -> rows for the babylm converter and for rewriting."""

import pytest
from recipekit.converters.reading.records import Drop, Record, Row
from recipekit.converters.sources import babylm
from recipekit.runner.generate.outcomes import Rejected, Rows
from recipekit.runner.generate.tasks import rewrite
from recipekit.runner.generate.tasks.label import parse_reply, requests
from recipekit.runner.providers.requests import Request
from recipekit.schemas.prompts import load_prompt

TEXT = "I could not believe that they had kept the kitten for me all that time."


def request(value: dict) -> Request:
    (found,) = requests([Row(value, "corpus.txt", 3)], None, 42)
    assert isinstance(found, Request)
    return found


def test_every_label_above_the_score_is_kept_in_order() -> None:
    found = parse_reply(request({"text": TEXT}), '{"joy": 0.93, "surprise": 0.61, "neutral": 0.55, "fear": 0.5}')
    assert isinstance(found, Rows)
    labels = {"label_0": "joy", "score_0": 0.93, "label_1": "surprise", "score_1": 0.61}
    assert found.rows == [{"text": TEXT, "emotion": "joy, surprise", **labels}]


@pytest.mark.parametrize(
    ("scores", "reason"), [('{"neutral": 0.9, "joy": 0.6}', "label_neutral"), ('{"joy": 0.5, "fear": 0.1}', "low_score")]
)
def test_neutral_and_unsure_rows_are_filtered_as_the_recipe_asks(scores: str, reason: str) -> None:
    found = parse_reply(request({"text": TEXT}), scores)
    assert isinstance(found, Rejected) and (found.reason, found.filtered) == (reason, True)


def test_a_row_without_a_text_is_dropped() -> None:
    (found,) = requests([Row({"text": " "}, "corpus.txt", 3)], None, 42)
    assert isinstance(found, Drop) and found.reason == "no_text"


def test_labelled_rows_are_read_by_the_converter_and_by_rewrite() -> None:
    found = parse_reply(request({"text": TEXT}), '{"joy": 0.93}')
    assert isinstance(found, Rows)
    row = Row(found.rows[0], "rows.jsonl", 1)
    (record,) = babylm.convert([row], "text")
    assert isinstance(record, Record) and record.fields == {"text": TEXT} and record.meta["emotion"] == ["joy"]
    (asked,) = rewrite.requests([row], load_prompt("babylm_story"), 42)
    assert isinstance(asked, Request) and "Emotion: joy" in asked.messages[-1]["content"]
