"""The baselines: shares of the labels, and a linear model on words in any script."""

import re

import pytest
from recipekit.runner.evaluation.classification import BASELINES, majority, mentioned, tfidf
from recipekit.schemas.base.words import WORD

pytest.importorskip("sklearn", reason="needs the extra [eval]")
TRAIN = [{"text": text, "label": label} for text, label in [
    ("the sun is warm and bright", "glad"), ("a bright warm day in the sun", "glad"), ("warm sun on bright flowers", "glad"),
    ("cold rain and grey fog", "sad"), ("grey fog again and cold", "sad"),
]]  # fmt: skip
LABELS = ["sad", "glad"]


@pytest.mark.parametrize(
    ("text", "tokens"),
    [("A cat's 2 hats", ["A", "cat", "s", "2", "hats"]), ("我很开心 today", ["我", "很", "开", "心", "today"]), ("ok好", ["ok", "好"])],
)
def test_a_token_is_a_word_or_one_chinese_character(text, tokens):
    assert re.findall(WORD, text) == tokens


def test_the_majority_class_has_the_share_of_its_rows():
    assert majority(TRAIN, ["x", "y"], LABELS, None) == [[0.4, 0.6], [0.4, 0.6]]


def test_word_counts_tell_the_labels_apart():
    sad, glad = tfidf(TRAIN, ["grey cold rain", "bright sun"], LABELS, "balanced")
    assert sad[0] > 0.5 > sad[1]
    assert glad[1] > 0.5 > glad[0]
    assert sum(sad) == pytest.approx(1)


def test_class_weights_move_the_linear_model_too():
    plain, weighted = (tfidf(TRAIN, ["nothing known"], LABELS, weights)[0] for weights in (None, {"sad": 10.0, "glad": 1.0}))
    assert weighted[0] > plain[0]


def test_chinese_without_blanks_can_be_distinguished():
    train = [
        {"text": text, "label": label}
        for text, label in [("我很开心", "glad"), ("今天开心", "glad"), ("我很难过", "sad"), ("今天难过", "sad")]
    ]
    assert tfidf(train, ["昨天难过了"], LABELS, None)[0][0] > 0.5


@pytest.mark.parametrize(("text", "named"), [("Ikna!", [1, 0]), ("İkna oldum, ıkna", [0.25, 0.75]), ("ikna, RED", [0.5, 0.5])])
def test_a_label_is_named_in_another_case_but_not_by_other_letters(text, named):
    train = [{"text": "x", "label": label} for label in ("ikna", "red", "red", "red")]
    assert mentioned(train, [text], ["ikna", "red"], None) == [named]


def test_a_letter_of_a_type_is_named_by_no_other_letters():
    assert mentioned([{"label": "I"}, {"label": "E"}], ["İNTJ, ıNTJ", "an intj's"], ["I", "E"], None) == [[0.5, 0.5], [1, 0]]


def test_texts_without_words_get_the_majority():
    assert tfidf([{"text": "😀", "label": "glad"}, {"text": "😢", "label": "sad"}], ["😀"], LABELS, None) == [[0.5, 0.5]]


@pytest.mark.parametrize("name", BASELINES)
def test_every_baseline_gives_a_distribution_over_the_labels_for_each_text(name):
    rows = BASELINES[name](TRAIN, ["the sun", "fog", "unseen"], LABELS, "balanced")
    assert [len(row) for row in rows] == [2, 2, 2]
    assert all(sum(row) == pytest.approx(1) for row in rows)
