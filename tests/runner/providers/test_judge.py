"""Scores are read from a judge's reply in one way."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.runner.providers.judge import read_scores

ONE = {"score": (1.0, 5.0)}
FOUR = {"comprehensiveness": (0, 2), "professionalism": (0, 3), "authenticity": (0, 3), "safety": (0, 1)}
GOOD = {"comprehensiveness": 2, "professionalism": 3, "authenticity": 1, "safety": 1}


@pytest.mark.parametrize(
    ("text", "score"),
    [("4", 4), ("Score: 3.5 of 5", 3.5), ("我给 5 分", 5), ('{"score": 2}', 2), ("good", None), ("", None), ("-1", None), ("6", None),
     ("1\nbecause 3 things are wrong", 1), ("On a scale of 1 to 5, I give it a 4.", 4), ("1-5: 2", 2), ("（1 到 5）3", 3), ("1 to 50", 1), ("Out of 5, I would give 3.", 3),
     ("满分5分，我给3分", 3), ("4/5", 4), ("5/5", 5), ("1. Kind.\n2. Apt.\nScore: 4", 4), ("1. Kind.\n2. Apt.", None), ("4. It is kind.", 4),
     ("<think>It may be a 2, or {\"score\": 3}.</think>\n4", 4), ("It may be a 2.\n</think>\n\n4", 4), ("<think>It may be a 2,", None),
     ("It has 2 faults.\nScore: 4", 4), ("**4**, for its 2 examples", 4), ("Score: -1", None),
     ("Comprehensiveness: 1\nSafety: 2", None), ("In 1 sentence: it breaks character, so 3", None)],
)  # fmt: skip
def test_a_single_score_may_be_a_number(text: str, score: float | None) -> None:
    assert read_scores(text, ONE) == (None if score is None else {"score": score})


@pytest.mark.parametrize(
    "text",
    [json.dumps(GOOD), f"Here you are:\n```json\n{json.dumps(GOOD)}\n```", '{"comprehensiveness": 0} then ' + json.dumps(GOOD),
     json.dumps(GOOD | {"reason": "warm"})],
)  # fmt: skip
def test_several_scores_are_one_object(text: str) -> None:
    assert read_scores(text, FOUR) == GOOD


@pytest.mark.parametrize(
    "text",
    ["", "no", "{not json}", '{"safety": 1}', "2 3 1 1", json.dumps(GOOD | {"safety": 2}), json.dumps(GOOD | {"safety": -1}),
     json.dumps(GOOD | {"safety": True}), json.dumps(GOOD | {"safety": "1"}), json.dumps(GOOD | {"safety": None}),
     json.dumps(GOOD | {"safety": float("nan")}), json.dumps(GOOD).replace("1}", "1e999}")],
)  # fmt: skip
def test_a_score_outside_its_scale_is_not_a_score(text: str) -> None:
    assert read_scores(text, FOUR) is None


@given(st.text(), st.sampled_from([ONE, FOUR]))
def test_any_text_is_read_without_an_error(text: str, scales: dict) -> None:
    scores = read_scores(text, scales)
    assert scores is None or all(low <= scores[name] <= high for name, (low, high) in scales.items())
