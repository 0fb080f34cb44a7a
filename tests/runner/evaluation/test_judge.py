"""A judge behind a real HTTP server on this machine: what is sent, what is read, what is kept, and what goes wrong."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from recipekit.runner.evaluation.judge import PROMPT, SCALES, judge_replies, judged, read_scores
from recipekit.runner.evaluation.scoring import read_cases, score
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.sections import Evaluation, ReplyJudge

from ...support.tiny import write_jsonl

for package in ("openai", "numpy"):
    pytest.importorskip(package, reason=f"needs the extra [eval]: {package}")
GOOD = {"comprehensiveness": 2, "professionalism": 3, "authenticity": 1, "safety": 1}
KEY = "sk-a-key-that-must-stand-nowhere"


@pytest.fixture
def endpoint(monkeypatch):
    """An endpoint whose answers are `answer(request body)`: a text, or a status."""
    monkeypatch.setenv("JUDGE_KEY", KEY)
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            seen.append((self.path, self.headers["Authorization"], body))
            said = server.answer(body)
            status = said if isinstance(said, int) else 200
            message = {"role": "assistant", "content": said}
            reply = {"error": {"message": f"no: {self.headers['Authorization']}"}} if status != 200 else {
                "id": "1", "object": "chat.completion", "created": 1, "model": "judge", "choices": [{"index": 0, "message": message, "finish_reason": "stop"}],
            }  # fmt: skip
            content = json.dumps(reply).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *arguments):
            """Not on stderr."""

    seen: list[tuple] = []
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.answer, server.seen = lambda body: json.dumps(GOOD), seen
    server.judge = ReplyJudge("judge-1", f"http://127.0.0.1:{server.server_port}/v1", "JUDGE_KEY", 2, 0, 10)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def run(tmp_path) -> RunFolder:
    messages = [{"role": "user", "content": "I cannot sleep."}, {"role": "assistant", "content": "Tell me more."}]
    write_jsonl(tmp_path / "eval" / "rows.jsonl", [{"id": str(n), "messages": messages} for n in range(3)])
    lines = [
        {"model": model, "id": str(n), "reference": "Tell me more.", "reply": f"{model} {n}", "stopped": True, "reply_tokens": 2,
         "nll": 1.0, "target_tokens": 1, "correct": 1}
        for model in ("base", "tuned") for n in range(3)
    ]  # fmt: skip
    write_jsonl(tmp_path / "eval" / "predictions.jsonl", lines)
    return RunFolder(tmp_path)


def test_every_reply_is_judged_once_with_the_conversation_and_the_prompt(endpoint, run):
    facts = judge_replies(run, endpoint.judge, "key")
    assert facts == {"model": "judge-1", "base_url": endpoint.judge.base_url, "prompt": PROMPT, "scales": SCALES, "unread": 0}
    assert len(endpoint.seen) == 6
    path, authorization, body = min(endpoint.seen, key=lambda request: request[2]["messages"][1]["content"])  # asked two at a time
    assert (path, authorization, body["model"], body["temperature"]) == ("/v1/chat/completions", f"Bearer {KEY}", "judge-1", 0)
    assert body["messages"][0] == {"role": "system", "content": PROMPT}
    assert body["messages"][1]["content"] == "<conversation>\nuser: I cannot sleep.\n</conversation>\n<reply>\nbase 0\n</reply>"
    assert judged(run / "eval/judgements.jsonl")["tuned", "2"] == GOOD


def test_the_scores_become_metrics_of_both_models(endpoint, run):
    endpoint.answer = lambda body: json.dumps(GOOD | {"authenticity": 3 if "tuned" in body["messages"][1]["content"] else 1})
    judge_replies(run, endpoint.judge, "key")
    cases = read_cases(run / "eval/predictions.jsonl", run / "eval/rows.jsonl")
    found = score(Evaluation(metrics=("authenticity", "safety"), judge=endpoint.judge), cases, {})
    assert {model: found["models"][model]["authenticity"]["value"] for model in ("base", "tuned")} == {"base": 1, "tuned": 3}
    assert found["differences"]["authenticity"]["distinguishable"]


def test_an_answer_that_cannot_be_read_is_counted_and_has_no_part_in_the_mean(endpoint, run):
    endpoint.answer = lambda body: "I would rather not." if "base 1" in body["messages"][1]["content"] else json.dumps(GOOD)
    assert judge_replies(run, endpoint.judge, "key")["unread"] == 1
    cases = read_cases(run / "eval/predictions.jsonl", run / "eval/rows.jsonl")
    assert [case.judged for case in cases["base"]] == [GOOD, {}, GOOD]


def test_judging_goes_on_where_it_was(endpoint, run):
    judge_replies(run, endpoint.judge, "key")
    path = run / "eval" / "judgements.jsonl"
    kept = b"".join(path.read_bytes().splitlines(keepends=True)[:4])
    path.write_bytes(kept + b'{"model": "tuned", "id"')
    endpoint.seen.clear()
    judge_replies(run, endpoint.judge, "key")
    assert len(endpoint.seen) == 2 and path.read_bytes().startswith(kept)
    assert len(path.read_bytes().splitlines()) == 6


@pytest.mark.parametrize("other", ["another judge", "other predictions"])
def test_judgements_of_another_judge_or_of_other_replies_are_not_kept(endpoint, run, other):
    judge_replies(run, endpoint.judge, "key")
    endpoint.seen.clear()
    changed = (endpoint.judge._replace(model="judge-2"), "key") if other == "another judge" else (endpoint.judge, "key 2")
    judge_replies(run, *changed)
    assert len(endpoint.seen) == 6


def test_an_endpoint_that_refuses_is_told_without_the_key_and_keeps_what_there_is(endpoint, run):
    endpoint.answer = lambda body: 401 if "tuned 0" in body["messages"][1]["content"] else json.dumps(GOOD)
    with pytest.raises(UserError, match="judge-1 at http://127.0.0.1") as caught:
        judge_replies(run, endpoint.judge, "key")
    assert KEY not in str(caught.value)
    assert set(judged(run / "eval/judgements.jsonl")) >= {("base", "0"), ("base", "1"), ("base", "2")}


def test_no_file_holds_the_key(endpoint, run):
    judge_replies(run, endpoint.judge, "key")
    files = [path for path in run.path.rglob("*") if path.is_file()]
    assert len(files) == 4 and not any(KEY.encode() in path.read_bytes() for path in files)


def test_without_a_key_nothing_is_sent(run, monkeypatch):
    monkeypatch.delenv("NO_SUCH_KEY", raising=False)
    with pytest.raises(UserError, match="the environment has no NO_SUCH_KEY"):
        judge_replies(run, ReplyJudge("m", "https://judge.invalid/v1", "NO_SUCH_KEY"), "key")


@pytest.mark.parametrize(
    ("text", "scores"),
    [
        (json.dumps(GOOD), GOOD),
        (f"Here you are:\n```json\n{json.dumps(GOOD)}\n```", GOOD),
        ('{"comprehensiveness": 0} then ' + json.dumps(GOOD), GOOD),
        ("", None), ("no", None), ("{not json}", None), ('{"safety": 1}', None),
        (json.dumps(GOOD | {"safety": 2}), None), (json.dumps(GOOD | {"safety": -1}), None),
        (json.dumps(GOOD | {"safety": 0.5}), None), (json.dumps(GOOD | {"safety": True}), None), (json.dumps(GOOD | {"safety": "1"}), None),
    ],
)  # fmt: skip
def test_only_four_whole_numbers_on_their_scales_are_scores(text, scores):
    assert read_scores(text) == scores
