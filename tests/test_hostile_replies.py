"""What every client of the network makes of the same generated replies of a hostile server: a reply, or one line that says why not."""

import asyncio
import json
import re
import socket
from types import SimpleNamespace
from typing import Any

import pytest

for package in ("openai", "huggingface_hub", "numpy"):
    pytest.importorskip(package, reason=f"needs the extras [data,eval,generate]: {package}")

from recipekit.converters.building.hub_datasets import find_dataset
from recipekit.runner.evaluation.judge import judge_all
from recipekit.runner.models.hub import small_files
from recipekit.runner.providers.client import CallFailed, Client
from recipekit.runner.providers.endpoints import endpoint
from recipekit.runner.providers.request_log import Entry, open_log
from recipekit.runner.providers.requests import ProviderRequest
from recipekit.runner.runtime.run_folder import RunFolder
from recipekit.runner.workflows.upload import Upload, send
from recipekit.schemas.base.errors import UserError
from recipekit.schemas.generate_sections import Judge, Provider, Sampling
from recipekit.schemas.values import built

from .support.hostile_replies import bodies, raw_replies, say, stream_of
from .support.jsonl import write_jsonl
from .support.llm_server import OK, Quiet, chunk, completion, reserved_port, serving
from .support.waiting import PATIENCE

SCORES = json.dumps({"comprehensiveness": 2, "professionalism": 3, "authenticity": 1, "safety": 1})
WHOLE = list(raw_replies(completion(SCORES)))
STREAMED = [stream_of(event, chunk("x", "stop")) for event in bodies(chunk("x") | {"usage": {"prompt_tokens": 1, "completion_tokens": 1}})]
FACTS = {
    "id": "a/b",
    "sha": "a" * 40,
    "siblings": [{"rfilename": "config.json"}, {"rfilename": "tokenizer.json"}],
    "tags": [],
    "private": False,
}
ENDS = re.compile(rb"HTTP/1.1 (40[1-4] |3)")  # no further request is sent
HUB = {"small_files": ("/api/models/", "/resolve/"), "find_dataset": ("/api/datasets/",), "send": ("/api/repos/create", "/api/models/")}


def of_row(replies):
    """The reply whose number the prompt has."""
    return lambda exchange: say(exchange, replies[int(re.findall(r"row (\d+)", exchange.prompt)[-1])])


def fault(outcome: Any) -> str:
    """What is wrong with the end of a request; "" for one line of a failure, which every file and terminal can hold."""
    if not isinstance(outcome, CallFailed | UserError):
        return repr(outcome)[:200]
    text = str(outcome) if isinstance(outcome, CallFailed) else outcome.problems[0].what
    return "" if text.splitlines() == [text] == [text.encode().decode()] and "no complete reply" not in text else text[:200]


@pytest.mark.parametrize(("replies", "stream"), [(WHOLE, False), (STREAMED, True)], ids=["whole", "streamed"])
def test_a_provider(tmp_path, replies, stream):
    async def ask_all(url, log):
        client = Client.open(endpoint(Provider("openai_compatible", "m", base_url=url, stream=stream)), 2, PATIENCE)
        try:
            for number in range(len(replies)):
                asked = ProviderRequest("p", "m", ({"role": "user", "content": f"row {number}"},), Sampling(max_new_tokens=9), 7)
                try:
                    log.keep([Entry(asked, await client.ask(asked), None, None, 1, 0.0)])
                except Exception as error:
                    faults.update({replies[number]: found} if (found := fault(error)) else ())
                    log.fail(asked, str(error), True)
        finally:
            await client.close()

    faults = {}
    with serving(of_row(replies)) as server, open_log(tmp_path / "requests.sqlite", Quiet()) as log:
        asyncio.run(ask_all(server.url, log))
        used = log.used()
    assert faults == {}
    assert 0 < used.requests < len(replies) and used.tokens <= used.requests * 2**25


def test_a_judge(tmp_path, monkeypatch):
    monkeypatch.setattr("recipekit.runner.providers.dispatcher.MAX_FAILURES", len(WHOLE))
    replies = [reply for reply in WHOLE if not ENDS.match(reply)]
    run = RunFolder(tmp_path / "runs" / "counsellor" / "one")
    turns = [{"role": "user", "content": "I cannot sleep."}, {"role": "assistant", "content": "Tell me more."}]
    write_jsonl(run / "evaluating" / "rows.jsonl", [{"id": str(n), "messages": turns} for n in range(len(replies))])
    write_jsonl(
        run / "evaluating" / "predictions.jsonl", [{"model": "base", "id": str(n), "reply": f"row {n}"} for n in range(len(replies))]
    )
    with serving(of_row(replies)) as server:
        section = {"provider": "openai_compatible", "model": "j", "base_url": server.url}
        limits = {"concurrency": 8, "timeout": PATIENCE, "retries": 0, "attempts": 1}
        judge = built(Judge, {"prompt": "judge_counsellor", "provider": section, "limits": limits})
        result = judge_all(run, judge, 42, Quiet())
    assert result["judged"] + result["unread"] + result["failed"] == len(replies)
    assert result["judged"] and result["unread"] and result["failed"]


@pytest.mark.parametrize(("asked", "where"), [(asked, where) for asked, places in HUB.items() for where in places])
def test_a_hub(tmp_path, monkeypatch, asked, where):
    card = tmp_path / "README.md"
    card.write_text("x")
    ask = {
        "small_files": lambda number: small_files(f"a/b{number}", None),
        "find_dataset": lambda number: find_dataset(f"hf:a/b{number}", "main"),
        "send": lambda number: send([Upload("README.md", 1, card)], f"a/b{number}", False, "x"),
    }[asked]
    replies, hostile = list(raw_replies(FACTS)), [b""]

    def behave(exchange):
        if where in exchange.path:
            say(exchange, hostile[0])
        elif "/api/" in exchange.path:
            exchange.send(OK, {"url": f"{server.url}/a/b", "files": [], **FACTS})
        else:
            exchange.send(OK, b"{}", etag='"x"', x_repo_commit="a" * 40)

    with serving(behave) as server:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        monkeypatch.setenv("HF_TOKEN", "hf_planted0123456789")
        for name, value in {"HF_HUB_OFFLINE": False, "ENDPOINT": server.url, "HF_HUB_CACHE": str(tmp_path / "cache"),
                            "HUGGINGFACE_CO_URL_TEMPLATE": server.url + "/{repo_id}/resolve/{revision}/{filename}"}.items():  # fmt: skip
            monkeypatch.setattr(f"huggingface_hub.constants.{name}", value)
        monkeypatch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(sleep=lambda seconds: None))
        faults, refused = {}, 0
        for number, hostile[0] in enumerate(replies):
            try:
                ask(number)
            except Exception as error:
                refused += 1
                faults.update({hostile[0]: found} if (found := fault(error)) else ())
    assert faults == {}
    assert 0 < refused <= len(replies)


def test_a_hub_that_is_gone_in_the_middle_of_an_upload(tmp_path, monkeypatch):
    card = tmp_path / "README.md"
    card.write_text("x")

    def behave(exchange):
        files = [{"path": "README.md", "uploadMode": "lfs", "shouldIgnore": False}]
        if "/preupload/" in exchange.path:  # before the reply: a fast client asks for the next thing as soon as it has it
            server.close()
        exchange.send(OK, {"url": f"{server.url}/a/b", "files": files, **FACTS}, connection="close")
        exchange.sock.shutdown(socket.SHUT_RDWR)

    with reserved_port() as port, serving(behave, port) as server:
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
        monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
        monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
        monkeypatch.setattr("huggingface_hub.utils._http.time", SimpleNamespace(sleep=lambda seconds: None))
        with pytest.raises(UserError, match="the hub cannot be reached: the connection was lost"):
            send([Upload("README.md", 1, card)], "a/b", False, "x")
