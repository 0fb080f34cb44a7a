"""A second model scores what the first one wrote."""

import json

import pytest
from recipekit.runner.generate.generate import generate_rows
from recipekit.schemas.base.errors import UserError

from ...support.llm_server import reply, serving


@pytest.fixture
def judged(tmp_path, section, questions, quiet, planted):
    """Stories of three rows, judged by another model at the same server; the judge answers what `judgements` say about the text."""
    (tmp_path / "judge.yml").write_text("prompt: 1\nscales: {score: [1, 5]}\nuser: 'Judge {text} made of {original}'\n", encoding="utf-8")

    def run(judgements, **changes):
        questions(3)

        def behave(exchange):
            is_judge = exchange.body["model"] == "j"
            text = next(v for k, v in judgements.items() if k in exchange.prompt) if is_judge else f"story of {exchange.prompt[12:-1]}"
            reply(text(exchange.body) if callable(text) else text)(exchange)

        with serving(behave) as server:
            provider = {"provider": "openai_compatible", "model": "j", "base_url": server.url}
            judge = {"prompt": str(tmp_path / "judge.yml"), "provider": provider}
            job = section(
                server.url, task="rewrite", options={"read": "chinese", "write": "story"}, judge=judge, filters={"min_score": 3}, **changes
            )
            return generate_rows(job, tmp_path / "out", tmp_path / "log.sqlite", tmp_path, quiet, "key"), server

    return run


def lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_rows_that_pass_and_every_judgement_are_kept(judged, tmp_path) -> None:
    manifest, server = judged({"第0": "5: very good", "第1": "1", "第2": "3"})
    assert manifest["judge"] == {
        "model": "openai_compatible/j", "judged": 3, "passed": 2, "low_score": 1, "unscored": 0, "redacted": 0, "prompt_tokens": 21, "completion_tokens": 15,
    }  # fmt: skip
    assert (manifest["rows_in"], manifest["rows_kept"], manifest["dropped"], manifest["rows"]) == (3, 2, {"low_score": 1}, 2)
    assert [(row["name"], row["generated_by"]["judge_score"]) for row in lines(tmp_path / "out" / "rows.jsonl")] == [
        ("s0", 5.0),
        ("s2", 3.0),
    ]
    assert [judgement["reply"] for judgement in lines(tmp_path / "out" / "judgements.jsonl")] == ["5: very good", "1", "3"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == [
        "dropped.jsonl",
        "judgements.jsonl",
        "manifest.json",
        "rows.jsonl",
    ]
    asked = [body for body in server.asked if body["model"] == "j" and "第0" in body["messages"][0]["content"]]
    assert asked[0]["temperature"] == 0
    assert asked[0]["messages"][0]["content"] == "Judge story of 第0句话 made of 第0句话"


def test_a_judgement_without_a_score_is_retried_then_dropped(judged) -> None:
    judgements = {"第0": lambda body: "hm" if body["seed"] < 1000 else "4", "第1": "no idea", "第2": "4"}
    with pytest.raises(UserError, match="unscored"):
        judged(judgements, limits={"attempts": 2})
    manifest, _ = judged(judgements, limits={"attempts": 2}, max_dropped=0.5)
    assert manifest["dropped"] == {"unscored": 1}
    assert manifest["judge"]["passed"] == 2
