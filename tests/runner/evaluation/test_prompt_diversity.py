"""Prompt diversity, by hand."""

import pytest
from recipekit.runner.evaluation.prompt_diversity import SAMPLE, prompt_diversity


def test_by_hand():
    found = prompt_diversity(["Write a poem", "write a song", "Count!"])
    assert found == {
        "prompts": 3, "distinct": 3, "mean_words": 7 / 3, "distinct_1": 5 / 7, "distinct_2": 3 / 4,
        "nearest": pytest.approx((1 / 3 + 1 / 3 + 0) / 3), "compared": 3,
    }  # fmt: skip


def test_the_same_prompt_over_and_over_is_no_diversity():
    found = prompt_diversity(["Say something nice."] * 10)
    assert (found["distinct"], found["nearest"], found["distinct_1"]) == (1, 1.0, 3 / 30)


def test_words_of_languages_without_blanks_are_their_characters():
    assert prompt_diversity(["我很难过"])["mean_words"] == 4


@pytest.mark.parametrize("prompts", [[], [""], ["", "!?"]])
def test_nothing_to_measure_is_none_and_no_error(prompts):
    found = prompt_diversity(prompts)
    assert found["distinct_1"] is found["distinct_2"] is None


def test_a_large_set_is_compared_by_a_seeded_sample():
    prompts = [f"prompt {n} about thing {n % 7}" for n in range(SAMPLE * 3)]
    found = prompt_diversity(prompts)
    assert found["compared"] == SAMPLE and found == prompt_diversity(prompts)
    assert found["prompts"] == found["distinct"] == SAMPLE * 3


def test_the_real_emotion_prompts_are_diverse(realdata):
    import json

    prompts = json.loads((realdata / "babylm_alpaca/quantitative_analysis/emotion_prompts.json").read_text())
    found = prompt_diversity([prompt for group in prompts.values() for prompt in group])
    assert found["prompts"] == 829 and found["distinct"] > 800 and found["nearest"] < 0.5
