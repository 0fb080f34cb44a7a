"""Filters over texts, and ROUGE-L compared with the library that the source used."""

import random

import pytest
from recipekit.runner.generate.filters import TextFilter, words
from recipekit.schemas.generate_sections import Filters

FAULTS = [
    (Filters(min_words=3), "two words", "too_short"), (Filters(max_words=2), "now three words", "too_long"),
    (Filters(min_words=4), "四个汉字", None), (Filters(max_words=3), "四个汉字", "too_long"),
    (Filters(require_terminal=True), "It ends in the", "unterminated"), (Filters(require_terminal=True), "It ends.", None),
    (Filters(blacklist=("image",)), "Look at this IMAGE!", "blacklisted"), (Filters(blacklist=("image",)), "Imagery is fine", None),
    (Filters(blacklist=("自杀",)), "他提到自杀的念头", "blacklisted"), (Filters(), "", None),
]  # fmt: skip


@pytest.mark.parametrize(("filters", "text", "reason"), FAULTS)
def test_a_text_is_left_out_for_a_reason(filters: Filters, text: str, reason: str | None) -> None:
    fault = TextFilter(filters).fault(text)
    assert (fault.reason if fault else None) == reason


def test_words_are_words_and_chinese_characters() -> None:
    assert words("Don't say 你好, O2-rich (naïve) 世界!") == ["don't", "say", "你", "好", "o2", "rich", "naïve", "世", "界"]


def test_texts_are_compared_with_kept_texts_only() -> None:
    passes = TextFilter(Filters(max_similarity=0.7))
    assert passes.fault("Name three primary colours of light.") is None
    assert passes.fault("Name three primary colours of paint.").reason == "not_novel"
    assert passes.fault("Describe how a bicycle stays upright.") is None
    assert passes.fault("我最近总是很焦虑，睡不着觉。") is None
    assert passes.fault("我最近总是很焦虑，睡不好觉。").reason == "not_novel"
    assert len(passes.kept) == 3


def test_rouge_l_is_that_of_the_library() -> None:
    scorer = pytest.importorskip("rouge_score.rouge_scorer").RougeScorer(["rougeL"], use_stemmer=False)
    chance = random.Random(3)
    vocabulary = "the a cat dog sat ran on under mat tree and then it was very happy sad blue".split()
    texts = [" ".join(chance.choices(vocabulary, k=chance.randint(1, 14))) for _ in range(120)]
    for limit in (0.3, 0.5, 0.7):
        passes, kept = TextFilter(Filters(max_similarity=limit)), []
        for text in texts:
            expected = any(scorer.score(other, text)["rougeL"].fmeasure > limit for other in kept)
            assert (passes.fault(text) is not None) == expected
            if not expected:
                kept.append(text)
        assert 0 < len(kept) < len(texts)
