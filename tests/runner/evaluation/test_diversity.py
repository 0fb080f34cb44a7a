"""Diversity of texts, by hand."""

import json

import pytest
from recipekit.runner.evaluation.diversity import COMPARED, SAMPLE, Sample, diversity, diversity_by_part, diversity_line


def of(texts):
    sample = Sample(42)
    for text in texts:
        sample.add(text)
    return diversity(sample)


def test_by_hand():
    assert of(["Write a poem", "write a song", "Count!"]) == {
        "texts": 3, "sampled": 3, "distinct": 3, "mean_words": 7 / 3, "distinct_1": 5 / 7, "distinct_2": 3 / 4,
        "nearest": pytest.approx((1 / 3 + 1 / 3 + 0) / 3), "compared": 3,
    }  # fmt: skip


def test_the_same_text_over_and_over_is_not_diversity():
    found = of(["Say something nice."] * 10)
    assert (found["distinct"], found["nearest"], found["distinct_1"]) == (1, 1.0, 3 / 30)


def test_words_of_languages_without_blanks_are_their_characters():
    assert of(["我很难过"])["mean_words"] == 4


@pytest.mark.parametrize("texts", [[], [""], ["", "!?"]])
def test_nothing_to_measure_is_none_and_no_error(texts):
    found = of(texts)
    assert found["distinct_1"] is found["distinct_2"] is None
    assert "are distinct" in diversity_line(found)


def test_a_large_set_is_measured_on_a_seeded_sample():
    texts = [f"text {n} about thing {n % 7}" for n in range(SAMPLE + 1000)]
    found = of(texts)
    assert found == of(texts)
    assert (found["texts"], found["sampled"], found["distinct"], found["compared"]) == (len(texts), SAMPLE, SAMPLE, COMPARED)
    assert diversity_line(found).startswith("5,000 of 5,000 sampled of 6,000 are distinct; distinct-1 ")


def test_every_text_is_as_likely_to_be_sampled():
    sample = Sample(1)
    for number in range(2 * SAMPLE):
        sample.add(str(number))
    late = sum(int(text) >= SAMPLE for text in sample.texts)
    assert 0.45 * SAMPLE < late < 0.55 * SAMPLE


def test_chats_have_prompts_and_replies_and_stories_have_their_sources():
    chats = [{"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": f"Why {n}?"}, {"role": "assistant", "content": "So."}]}
             for n in range(3)]  # fmt: skip
    found = diversity_by_part(chats)
    assert {part: (facts["texts"], facts["distinct"]) for part, facts in found.items()} == {"prompts": (3, 3), "replies": (3, 1)}
    texts = [{"text": "A story.", "meta": {"source_text": "A line."}}, {"text": "Another story.", "meta": {}}, {"text": "Plain."}]
    assert {part: facts["texts"] for part, facts in diversity_by_part(texts).items()} == {"texts": 3, "source texts": 1}


def test_the_real_emotion_prompts_are_diverse(realdata):
    prompts = json.loads((realdata / "babylm_alpaca/quantitative_analysis/emotion_prompts.json").read_text())
    found = of([prompt for group in prompts.values() for prompt in group])
    assert found["texts"] == 829 and found["distinct"] > 800 and found["nearest"] < 0.5
