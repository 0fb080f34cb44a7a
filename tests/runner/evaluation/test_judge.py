"""A judge behind a real HTTP server on this machine: what is sent, what is read, what is kept, and what goes wrong."""

import json
import sqlite3

import pytest
from recipekit.runner.evaluation.judge import judge_all, read_judgements
from recipekit.runner.evaluation.scoring import read_predictions, score
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.generate_sections import Judge
from recipekit.schemas.prompts import load_prompt
from recipekit.schemas.sections import Evaluation
from recipekit.schemas.values import built

from ...support import llm_server as servers
from ...support.jsonl import write_jsonl
from ...support.llm_server import KEY, Quiet, reply, reserved_port, serving, status, then
from ...support.waiting import PATIENCE

for package in ("openai", "numpy", "httpx2"):
    pytest.importorskip(package, reason=f"needs the extra [eval]: {package}")
GOOD = {"comprehensiveness": 2, "professionalism": 3, "authenticity": 1, "safety": 1}
SCORED = reply(json.dumps(GOOD))


@pytest.fixture
def run(tmp_path) -> RunFolder:
    messages = [{"role": "user", "content": "I cannot sleep."}, {"role": "assistant", "content": "Tell me more."}]
    folder = tmp_path / "runs" / "counsellor" / "one"
    write_jsonl(folder / "evaluating" / "rows.jsonl", [{"id": str(n), "messages": messages} for n in range(3)])
    lines = [
        {"model": model, "id": str(n), "reference": "Tell me more.", "reply": f"{model} {n}", "stopped": True, "reply_tokens": 2,
         "nll": 1.0, "target_tokens": 1, "correct": 1}
        for model in ("base", "tuned") for n in range(3)
    ]  # fmt: skip
    write_jsonl(folder / "evaluating" / "predictions.jsonl", lines)
    return RunFolder(folder)


@pytest.fixture
def judging(run, monkeypatch):
    """Judges the run's replies by a server that behaves so, at one address for the whole test; gives the result and the server."""
    monkeypatch.setenv("PLANTED_API_KEY", KEY)
    with reserved_port() as port:

        def judge(behave, limits=(), **provider):
            with serving(behave, port) as server:
                section = {"provider": "openai_compatible", "model": "j", "base_url": server.url, "key_name": "PLANTED_API_KEY"} | provider
                bounds = {"concurrency": 2, "timeout": PATIENCE, "retries": 1, "attempts": 2} | dict(limits)
                judge = built(Judge, {"prompt": "judge_counsellor", "provider": section, "limits": bounds})
                return judge_all(run, judge, 42, Quiet()), server

        yield judge


def judgements(run):
    return read_judgements(run / "evaluating" / "judgements.jsonl")


def test_every_reply_is_judged_once_with_its_conversation(judging, run):
    result, server = judging(SCORED)
    assert (result["model"], result["judged"], result["unread"], result["failed"]) == ("openai_compatible/j", 6, 0, 0)
    prompt = load_prompt("judge_counsellor")
    assert result["scales"] == prompt.scales and result["prompt"].startswith(prompt.system)
    assert len(server.asked) == 6
    body = min(server.asked, key=lambda body: body["messages"][1]["content"])  # several are asked at once
    assert (body["model"], body["temperature"]) == ("j", 0)
    assert body["messages"][0] == {"role": "system", "content": prompt.system}
    assert body["messages"][1]["content"] == "<conversation>\nuser: I cannot sleep.\n</conversation>\n<reply>\nbase 0\n</reply>"
    assert judgements(run)["tuned", "2"] == GOOD


def test_scores_become_metrics_of_both_models(judging, run):
    judging(reply(lambda exchange: json.dumps(GOOD | {"authenticity": 3 if "tuned" in exchange.prompt else 1})))
    cases = read_predictions(run / "evaluating/predictions.jsonl")
    found = score(Evaluation(metrics=("authenticity", "safety")), cases, {})
    assert {model: found["models"][model]["authenticity"]["value"] for model in ("base", "tuned")} == {"base": 1, "tuned": 3}


def test_a_judgement_without_scores_is_retried_then_counted(judging, run):
    result, server = judging(reply(lambda exchange: "I would rather not." if "base 1" in exchange.prompt else json.dumps(GOOD)))
    assert (result["judged"], result["unread"]) == (5, 1)
    seeds = [body["seed"] for body in server.asked if "base 1" in body["messages"][1]["content"]]
    assert len(seeds) == len(set(seeds)) == 2
    cases = read_predictions(run / "evaluating/predictions.jsonl")
    assert [case.judged for case in cases["base"]] == [GOOD, {}, GOOD]


def test_judging_resumes_without_repeating_a_request(judging, run):
    with pytest.raises(UserError, match="status 401"):
        judging(lambda exchange: (SCORED if exchange.number < 4 else status(401, "no such key"))(exchange), {"concurrency": 1})
    result, server = judging(SCORED)
    assert (result["judged"], len(server.asked)) == (6, 2)


def test_a_judgement_that_was_edited_while_judging_was_interrupted_is_asked_for_again(judging, run):
    with pytest.raises(UserError, match="status 401"):
        judging(lambda exchange: (SCORED if exchange.number < 4 else status(401, "no such key"))(exchange), {"concurrency": 1})
    with sqlite3.connect(run / "evaluating" / "judge.sqlite") as log:
        log.execute("update replies set reply = replace(reply, '2', '0') where key = (select min(key) from replies)")
    result, server = judging(SCORED)
    assert (result["judged"], len(server.asked)) == (6, 3)
    assert {**judgements(run)} == dict.fromkeys(judgements(run), GOOD)


@pytest.mark.parametrize("other", ["judge", "reply"])
def test_a_new_judge_or_reply_is_judged_again(judging, run, other):
    judging(SCORED)
    if other == "reply":
        path = run / "evaluating" / "predictions.jsonl"
        path.write_text(path.read_text().replace("tuned 0", "tuned 9"))
    _, server = judging(SCORED, **({"model": "j2"} if other == "judge" else {}))
    assert len(server.asked) == (6 if other == "judge" else 1)


WRONG = {
    "429": status(429, "slow down"), "500": status(500), "503": status(503), "a cut connection": servers.cut, "malformed JSON": servers.malformed,
    "JSON of another shape": servers.other_shape, "a page": servers.wrong_type,
}  # fmt: skip
TOO_LONG = {"a hang": servers.hang, "a slow body": servers.slow_loris}


@pytest.mark.parametrize("name", [*WRONG, *TOO_LONG])
def test_a_failure_is_retried(judging, name, monkeypatch):
    too_long = servers.ending_time(monkeypatch)
    result, server = judging(then(WRONG.get(name) or too_long(TOO_LONG[name]), SCORED), {"concurrency": 1})
    assert (result["judged"], result["failed"], len(server.asked)) == (6, 0, 7)


UNUSABLE = [servers.endless, servers.announced, servers.gzip_bomb, *servers.MALFORMED.values()]


@pytest.mark.parametrize("behave", UNUSABLE, ids=lambda behave: behave.__name__)
def test_unreadable_replies_are_counted_and_bounded(judging, run, behave):
    limits = {"timeout": PATIENCE, "concurrency": 1, "retries": 0, "attempts": 1}
    result, server = judging(lambda exchange: (behave if "base 1" in exchange.prompt else SCORED)(exchange), limits)
    assert (result["judged"], result["unread"] + result["failed"]) == (5, 1)
    assert getattr(server, "sent", 0) < 64 << 20
    assert sum(path.stat().st_size for path in run.path.rglob("*") if path.is_file()) < 1 << 20


def test_a_judge_that_never_answers_is_an_error(judging):
    with pytest.raises(UserError, match="openai_compatible/j answered no request: status 500: down"):
        judging(status(500, "down"), {"retries": 0})


def test_a_redirect_to_another_host_is_refused(judging):
    with serving(SCORED) as other, pytest.raises(UserError, match="redirects to 127.0.0.1, another host"):
        judging(servers.redirect(f"{other.url}/chat/completions"))
    assert other.asked == []


def test_no_file_holds_the_key_even_when_the_judge_repeats_it(judging, run):
    judging(then(status(500, f"bad thing with {KEY}"), reply(f"Bearer {KEY}"), reply(json.dumps(GOOD)[:-1] + f', "key": "{KEY}"}}')))
    with pytest.raises(UserError) as refused:
        judging(status(401, f"wrong key {KEY}"), model="other")
    assert KEY not in str(refused.value)
    files = [path for path in run.path.rglob("*") if path.is_file()]
    assert len(files) >= 4 and not any(KEY.encode() in path.read_bytes() for path in files)


def test_without_a_key_nothing_is_sent(judging):
    with pytest.raises(UserError, match="NO_SUCH_KEY is not set"):
        judging(SCORED, key_name="NO_SUCH_KEY")
