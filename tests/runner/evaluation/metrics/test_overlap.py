"""BLEU and ROUGE over jieba words: by hand, and as nltk and rouge give them over a whole set."""

from typing import Any

import pytest
from recipekit.runner.evaluation.metrics import Prediction, metric
from recipekit.runner.evaluation.metrics.overlap import bleu_scores, rouge_scores, words

for package in ("jieba", "nltk", "rouge"):
    pytest.importorskip(package, reason=f"needs the extra [eval]: {package}")

REPLY, REFERENCE = "我很难过，因为考试没有通过。", "你很难过，因为你的考试没有通过。"
NAMES = ("bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_1", "rouge_2", "rouge_l")


def case(reply, reference=REFERENCE):
    return Prediction("1", reference, reply, True, 1, 0.0, 0, 0)


def over(name, *cases):
    measure = metric(name)
    return measure.aggregate(*map(sum, zip(*map(measure.row_stats, cases), strict=True)))


def test_words_are_jiebas_with_blanks_removed():
    assert words("我 爱 北京天安门") == ("我", "爱", "北京", "天安门")
    assert words("") == ("",)


@pytest.mark.parametrize("name", NAMES)
def test_the_same_text_scores_a_hundred_and_nothing_in_common_almost_nothing(name):
    assert over(name, case(REFERENCE)) == pytest.approx(100, abs=1e-4)
    assert over(name, case("完全无关")) < 15  # BLEU's smoothing gives a little for nothing


@pytest.mark.parametrize("reply", ["", "  ", "\n"])
@pytest.mark.parametrize("name", NAMES)
def test_an_empty_reply_scores_nothing_instead_of_stopping_the_evaluation(name, reply):
    assert over(name, case(reply)) == 0


def test_a_reply_of_full_stops_has_no_words_for_rouge():
    assert over("rouge_l", case("...")) == 0


def test_bleu_1_by_hand():
    """Five of six words are in the reference; the reply is shorter by one word: 5/6 * exp(1 - 7/6)."""
    reply, reference = "a b c d e x", "a b c d e f g"
    from nltk.translate.bleu_score import sentence_bleu

    by_hand = 100 * 5 / 6 * 2.718281828459045 ** (1 - 7 / 6)
    assert 100 * sentence_bleu([reference.split()], reply.split(), (1.0,)) == pytest.approx(by_hand)
    assert bleu_scores("甲,乙", "甲,乙")[0] == pytest.approx(100)


def test_the_mean_over_rows_is_what_the_sources_own_loop_gives():
    """nltk and rouge called as EmoLLM's metric does: all rows at once."""
    import numpy as np
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu
    from rouge import Rouge

    pairs = [(REPLY, REFERENCE), ("谢谢你。", "不客气，希望你好起来。"), ("我们可以聊聊.你最近睡得好吗", "最近睡眠如何？我们聊聊。")]
    replies, references = ([" ".join(words(pair[side])) for pair in pairs] for side in (0, 1))
    weights = [(1.0,), (1 / 2,) * 2, (1 / 3,) * 3, (1 / 4,) * 4]
    rows = [
        sentence_bleu([there.split(" ")], here.split(" "), weights, SmoothingFunction().method1)
        for here, there in zip(replies, references, strict=True)
    ]
    expected = dict(zip(NAMES, 100 * np.mean(np.array(rows, dtype=float), axis=0), strict=False))
    scores: Any = Rouge().get_scores(replies, references, avg=True)
    expected |= {f"rouge_{key[-1]}": 100 * score["f"] for key, score in scores.items()}
    cases = [case(*pair) for pair in pairs]
    assert {name: over(name, *cases) for name in NAMES} == pytest.approx(expected)


def test_a_long_reply_does_not_exhaust_the_stack():
    long = "今天天气很好，" * 300
    assert rouge_scores(long + "我", long + "你")["rouge-l"] > 50


def test_the_caches_do_not_mix_rows_up():
    first = bleu_scores(REPLY, REFERENCE)
    assert first != bleu_scores(REFERENCE, REPLY)
    assert first == bleu_scores(REPLY, REFERENCE)


def test_words_end_at_spaces_where_a_language_has_them():
    """EmoLLM removes every space: a whole English reply would be one word, and score 0 unless it is the same."""
    assert words("The cat  sat on it.") == ("The", "cat", "sat", "on", "it", ".")
    assert words("我 用 Python 3 写 代码") == words("我用Python 3写代码")
    reply, reference = "the cat sat on the mat", "the dog sat on the mat"
    assert bleu_scores(reply, reference)[0] == pytest.approx(100 * 5 / 6)
    assert rouge_scores(reply, reference)["rouge-l"] > 75
