"""Which label a generated reply is, and the majority class as a baseline."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from recipekit.runner.evaluation.metrics import Prediction
from recipekit.runner.evaluation.scoring import INVALID, classified, label_columns, label_index, label_table, majority_label
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.evaluation_sections import label_form

from ...support.jsonl import write_jsonl

LABELS = ["low", "medium", "high"]


def case(number, reply, reference="low", fraction=None):
    meta = {} if fraction is None else {"fraction": fraction}
    return Prediction(str(number), reference, reply, True, 1, 0.0, 0, 0, meta=meta)


@pytest.mark.parametrize(
    ("reply", "index"),
    [
        ("low", 0), ("High", 2), (" medium\n", 1), ('"high"', 2), ("low.", 0), ("“high”。", 2), ("<think>\nnot low\n</think>\n\nhigh", 2), ("<think>low", INVALID), ("**low**", 0),
        ("", INVALID), ("lower", INVALID), ("low or high", INVALID), ("The level is high", INVALID), ("lo w", INVALID), ("中", INVALID),
    ],
)  # fmt: skip
def test_a_reply_is_a_label_only_when_it_says_nothing_else(reply, index):
    assert label_index(reply, LABELS) == index


WORDS = ["yes", "Yes!", ":)", ":(", "?", "!", "(a)", "a", "C", "C++", "5", "-5", "\u00e9", "e\u0301"]


@given(st.lists(st.sampled_from(WORDS), min_size=2, unique_by=label_form))
def test_labels_that_the_rule_accepts_are_distinguished_and_an_empty_reply_is_none_of_them(labels):
    assert [label_index(label, labels) for label in labels] == [*range(len(labels))]
    assert label_index("", labels) == label_index(" ... ", labels) == INVALID


def test_a_case_has_its_true_label_and_fraction():
    row = classified(case(1, "High", "medium", 0.6), LABELS)
    assert (row.truth, row.predicted, row.labels, row.fraction) == (1, 2, 3, 0.6)


def chat(reply):
    return {"messages": [{"role": "user", "content": "?"}, {"role": "assistant", "content": reply}]}


def test_the_majority_is_that_of_the_training_replies():
    assert majority_label(map(chat, ["high", "low", "high", "nonsense", "nonsense", "nonsense"]), LABELS) == 2
    assert majority_label(map(chat, ["medium", "low"]), LABELS) == 0


def test_the_majority_is_read_from_the_answer_and_not_from_the_reasoning():
    thought = "<think>\nCould be low.\n</think>\n\nhigh"
    assert majority_label(map(chat, [thought, thought, "low"]), LABELS) == 2


@pytest.mark.parametrize(
    "reply", ["「high」", "_high_", "¡high!", "high…", "\ufeffhigh", "high\u200b", "{high}", "『high』。", "high؟", "（high）", "high।"]
)
def test_quotes_and_punctuation_of_any_script_around_a_label_are_ignored(reply):
    assert label_index(reply, LABELS) == 2


@pytest.mark.parametrize(
    ("reply", "label"),
    [("It could be low.\n</think>\n\nhigh", 2), ("<think>\nlow?\n</think>high", 2), ("low </think> or <think> high", INVALID),
     ("<think>\nhigh", INVALID), ("</think>\n\nlow", 0)],
)  # fmt: skip
def test_a_reply_is_what_follows_the_reasoning_whoever_has_begun_it(reply, label):
    assert label_index(reply, LABELS) == label


def test_without_labels_there_is_no_majority():
    assert majority_label(map(chat, ["a", "b"]), LABELS) == INVALID
    masked = {"messages": [*chat("high")["messages"], *({**message, "train": False} for message in chat("low")["messages"])]}
    assert majority_label([masked], LABELS) == 2


@pytest.fixture
def columns(tmp_path):
    train = tmp_path / "train.jsonl"
    write_jsonl(train, [chat(reply) for reply in ("low", "low", "high")])
    cases = [case(1, "low"), case(2, "maybe"), case(3, "high", "high"), case(4, "low", "no label at all")]
    return label_columns({"base": cases, "tuned": cases}, LABELS, train)


def test_the_baseline_answers_every_row_with_the_majority_class(columns):
    assert [row.predicted for row in columns["majority"]] == [0, 0, 0]
    assert [row.truth for row in columns["majority"]] == [0, 0, 2]


def test_a_row_whose_own_reply_is_not_a_label_is_left_out_for_every_model(columns):
    assert {tuple(row.id for row in rows) for rows in columns.values()} == {("1", "2", "3")}


def test_the_table_has_a_last_column_for_invalid_replies(columns):
    assert label_table(columns, LABELS, "tuned") == [[1, 0, 0, 1], [0, 0, 0, 0], [0, 0, 1, 0]]


def test_labels_that_no_row_has_are_refused_and_not_divided_by():
    with pytest.raises(UserError, match=r"evaluation.labels: no evaluated row has a reply that is one of them"):
        label_columns({"base": [case(1, "low", "喜悦")], "tuned": [case(1, "low", "喜悦")]}, LABELS, None)
