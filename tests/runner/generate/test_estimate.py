"""`--dry-run`: counted, never invented, and nothing is asked."""

import pytest
from recipekit.runner.evaluation.metrics.cl100k import count_tokens
from recipekit.runner.generate.estimate import estimate, estimate_lines
from recipekit.runner.generate.generate import generate_rows
from recipekit.schemas.recipe import load_recipe

from ...support.llm_server import reply, serving

PRICE = {"price": {"input": 2, "output": 8, "currency": "CNY"}}


def test_requests_tokens_and_cost_are_counted_without_a_key(tmp_path, section, questions) -> None:
    questions(3)
    facts = estimate(section("https://models.example.org/v1", provider=PRICE, sampling={"max_new_tokens": 10}), tmp_path / "log", tmp_path)
    tokens = sum(2 * count_tokens(f"Emotions in 第{n}句话?") for n in range(3))
    (provider,) = facts["providers"]
    assert (facts["requests"], facts["dropped"]) == (6, {})
    assert (provider["prompt_tokens"], provider["most_reply_tokens"]) == (tokens, 60)
    assert provider["most_cost"] == round((tokens * 2 + 60 * 8) / 1e6, 4)
    assert estimate_lines(facts)[1].endswith(f", at most 60 reply tokens, at most {provider['most_cost']:.4f} CNY")
    assert not (tmp_path / "log").exists()


def test_no_cost_is_reported_without_a_price(tmp_path, section, questions) -> None:
    questions(1)
    facts = estimate(section("https://models.example.org/v1"), tmp_path / "log", tmp_path)
    assert "most_cost" not in facts["providers"][0]
    assert "no price given" in estimate_lines(facts)[1]


def test_a_classifier_writes_no_tokens_and_costs_nothing(tmp_path) -> None:
    recipe = load_recipe("babylm_label", smoke=True).recipe
    assert recipe.generate
    facts = estimate(recipe.generate, tmp_path / "log", tmp_path)
    (provider,) = facts["providers"]
    assert facts["requests"] > 0 and provider["prompt_tokens"] > 0 and provider["most_reply_tokens"] == 0
    assert estimate_lines(facts)[1].endswith(" prompt tokens (cl100k), on this machine")


def test_logged_requests_are_not_counted_again(tmp_path, section, questions, quiet, planted) -> None:
    questions(2)
    with serving(reply()) as server:
        job = section(server.url)
        generate_rows(job, tmp_path / "out", tmp_path / "log.sqlite", tmp_path, quiet, "key")
        asked = len(server.asked)
        questions(3)
        (provider,) = estimate(job, tmp_path / "log.sqlite", tmp_path)["providers"]
        assert len(server.asked) == asked
    assert (provider["requests"], provider["answered"]) == (6, 4)
    assert provider["prompt_tokens"] == 2 * count_tokens("Emotions in 第2句话?")


@pytest.mark.parametrize("paraphrases", [0, 4])
def test_rows_that_need_no_model_are_distinguished(tmp_path, section, paraphrases: int) -> None:
    (tmp_path / "self.jsonl").write_text('{"question": "a?", "answer": "b"}\n{"question": "c?"}\n')
    options = {"paraphrases": paraphrases}
    job = section("https://models.example.org/v1", tmp_path / "self.jsonl", task="self_cognition", options=options, prompt="self_cognition")
    facts = estimate(job, tmp_path / "log", tmp_path)
    assert (facts["requests"], facts["given"], facts["dropped"]) == (min(paraphrases, 1), 1, {"unknown_form": 1})
    requests = "1 request" if paraphrases else "0 requests"
    assert estimate_lines(facts)[0] == f"{requests}; 1 row without a request; dropped: 1 unknown form"


def test_the_target_of_rows_limits_the_requests(tmp_path) -> None:
    recipe = load_recipe("emollm_generate").recipe
    assert recipe.generate
    generate = recipe.generate._replace(options={"areas": ["work"], "emotions": ["joy", "awe", "joy"], "count": 2}, min_rows=3)
    first = estimate_lines(estimate(generate, tmp_path / "log", tmp_path))[0]
    assert first == "8 requests at most, until 3 rows are kept; dropped: 1 scenario named twice"
