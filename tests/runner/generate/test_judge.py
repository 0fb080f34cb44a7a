"""A second model scores what the first one wrote."""

import json

import pytest
from recipekit.runner.generate.generate import generate_rows
from recipekit.runner.generate.judge import read_verdict
from recipekit.runner.providers.requests import Reply
from recipekit.schemas.base.errors import UserError

from ...support.llm_server import reply, serving


@pytest.mark.parametrize(
    ("text", "score"),
    [("4", 4), ("Score: 3.5 of 5", 3.5), ("我给 5 分", 5), ("-1", -1), ("good", None), ("", None), ("0\nbecause 3 things are wrong", 0)],
)
def test_the_score_is_the_first_number(text: str, score: float | None) -> None:
    assert read_verdict(Reply(text, "stop", 1, 1)).score == score


@pytest.fixture
def judged(tmp_path, section, questions, quiet, planted):
    """Stories of three rows, judged by another model at the same server; the judge answers what `verdicts` say about the text."""
    (tmp_path / "judge.yml").write_text("prompt: 1\nuser: 'Judge {text} made of {original}'\n", encoding="utf-8")

    def run(verdicts, **changes):
        questions(3)

        def behave(exchange):
            is_judge = exchange.body["model"] == "j"
            said = next(v for k, v in verdicts.items() if k in exchange.prompt) if is_judge else f"story of {exchange.prompt[12:-1]}"
            reply(said(exchange.body) if callable(said) else said)(exchange)

        with serving(behave) as server:
            provider = {"provider": "openai_compatible", "model": "j", "base_url": server.url}
            judge = {"prompt": str(tmp_path / "judge.yml"), "provider": provider, "min_score": 3}
            job = section(server.url, task="rewrite", options={"read": "chinese", "write": "story"}, judge=judge, **changes)
            return generate_rows(job, tmp_path / "out", tmp_path / "log.sqlite", tmp_path, quiet, "key"), server

    return run


def lines(path):
    return [json.loads(line) for line in path.read_bytes().splitlines()]


def test_only_rows_that_pass_are_kept_and_every_verdict_is(judged, tmp_path) -> None:
    manifest, server = judged({"第0": "5: very good", "第1": "1", "第2": "3"})
    assert manifest["judge"] == {
        "model": "openai_compatible/j", "judged": 3, "passed": 2, "judged_out": 1, "no_verdict": 0, "prompt_tokens": 21, "completion_tokens": 15,
    }  # fmt: skip
    assert (manifest["rows_in"], manifest["rows_kept"], manifest["dropped"], manifest["rows"]) == (3, 2, {"judged_out": 1}, 2)
    assert [(row["name"], row["judge_score"]) for row in lines(tmp_path / "out" / "rows.jsonl")] == [("s0", 5.0), ("s2", 3.0)]
    assert [verdict["verdict"] for verdict in lines(tmp_path / "out" / "verdicts.jsonl")] == ["5: very good", "1", "3"]
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == ["dropped.jsonl", "manifest.json", "rows.jsonl", "verdicts.jsonl"]
    asked = [body for body in server.asked if body["model"] == "j"]
    assert asked[0]["temperature"] == 0
    assert asked[0]["messages"][0]["content"] == "Judge story of 第0句话 made of 第0句话"


def test_a_verdict_without_a_score_is_asked_for_again_and_then_counts_as_lost(judged) -> None:
    verdicts = {"第0": lambda body: "hm" if body["seed"] < 1000 else "4", "第1": "no idea", "第2": "4"}
    with pytest.raises(UserError, match="no verdict"):
        judged(verdicts, limits={"attempts": 2})
    manifest, _ = judged(verdicts, limits={"attempts": 2}, max_dropped=0.5)
    assert manifest["dropped"] == {"no_verdict": 1}
    assert manifest["judge"]["passed"] == 2
