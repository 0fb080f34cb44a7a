"""The server with a tiny model: a process of its own, asked through OpenAI's own client and through raw requests."""

import asyncio
import http.client
import json
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import openai
import pytest
from recipekit.runner.providers.local_server import served

from ...support.waiting import PATIENCE, wait_until

HI: Any = [{"role": "user", "content": "Where does the cat sleep?"}]


@pytest.fixture(scope="module")
def server(tiny_model, tmp_path_factory):
    with served(str(tiny_model), tmp_path_factory.mktemp("runs")) as (url, _):
        yield url, str(tiny_model)


def asked(server, **changes) -> Any:
    """A reply; of a stream its parts."""
    client = openai.OpenAI(base_url=server[0], api_key="none", max_retries=0, http_client=httpx2.Client(trust_env=False))
    with client:
        response = client.chat.completions.create(**({"model": server[1], "messages": HI, "max_tokens": 8, "temperature": 0} | changes))
        return list(response) if changes.get("stream") else response


def raw(url, body=None, headers=None, method=None) -> tuple[int, Any]:
    request = urllib.request.Request(url, body, {"content-type": "application/json", **(headers or {})}, method=method)
    try:
        with urllib.request.urlopen(request, timeout=PATIENCE) as response:
            return response.status, json.loads(response.read())
    except urllib.error.HTTPError as error:
        with error:
            text = error.read()
            return error.code, json.loads(text) if text[:1] == b"{" else text.decode()


def test_it_is_healthy_and_has_one_model(server) -> None:
    root = server[0].removesuffix("/v1")
    assert raw(f"{root}/health")[1]["status"] == "ok"
    assert [model["id"] for model in raw(f"{server[0]}/models")[1]["data"]] == [server[1]]


def test_a_reply_is_counted_and_says_why_it_ended(server) -> None:
    response = asked(server)
    assert response.choices[0].finish_reason in ("stop", "length")
    assert response.usage.prompt_tokens > 10
    assert 0 < response.usage.completion_tokens <= 8
    assert asked(server).choices[0].message.content == response.choices[0].message.content


GREEDY = """
import json, sys, warnings
warnings.simplefilter("ignore")
from transformers import AutoModelForCausalLM, AutoTokenizer
folder, chats = sys.argv[1], json.loads(sys.argv[2])
tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
for chat in chats:
    ids = tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=True)["input_ids"]
    made = model.generate(ids, max_new_tokens=12, do_sample=False, eos_token_id=tokenizer.eos_token_id, pad_token_id=0)
    print(json.dumps(tokenizer.decode(made[0, ids.shape[1]:], skip_special_tokens=True)))
"""


def test_replies_together_are_those_that_transformers_generates_alone(server, warm) -> None:
    """Prompts of unequal length, padded on the left in one batch, against one call of generate each."""
    chats = [[{"role": "user", "content": "Where? " * n}] for n in (1, 3, 9)]
    done = warm("-c", GREEDY, server[1], json.dumps(chats))
    assert done.returncode == 0, done.stderr
    alone = [json.loads(line) for line in done.stdout.splitlines()]
    with ThreadPoolExecutor(3) as pool:
        together = list(pool.map(lambda chat: asked(server, messages=chat, max_tokens=12).choices[0].message.content, chats))
    assert together == alone


def test_a_seed_gives_the_same_reply_whoever_is_answered_next_to_it(server) -> None:
    def say(seed):
        return asked(server, temperature=1.0, seed=seed, max_tokens=24).choices[0].message.content

    alone = [say(seed) for seed in range(6)]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(say, range(6)))
    assert together == alone
    assert len(set(alone)) > 3


def test_a_stream_gives_the_same_text_in_parts(server) -> None:
    whole = asked(server, max_tokens=24, seed=3, temperature=0.8)
    parts = asked(server, max_tokens=24, seed=3, temperature=0.8, stream=True, stream_options={"include_usage": True})
    text = "".join(part.choices[0].delta.content or "" for part in parts if part.choices)
    assert text == whole.choices[0].message.content
    assert [part.choices[0].finish_reason for part in parts if part.choices][-1] == whole.choices[0].finish_reason
    assert parts[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert len(parts) > 5


def test_requests_that_come_together_are_all_answered(server) -> None:
    async def ask_all() -> list[Any]:
        async with openai.AsyncOpenAI(
            base_url=server[0], api_key="none", max_retries=0, http_client=httpx2.AsyncClient(trust_env=False)
        ) as client:
            calls = (client.chat.completions.create(model=server[1], messages=HI, max_tokens=4 + n, seed=n) for n in range(12))
            return await asyncio.gather(*calls)

    replies = asyncio.run(ask_all())
    assert [reply.usage.completion_tokens <= 4 + n for n, reply in enumerate(replies)] == [True] * 12
    assert 0 < raw(f"{server[0].removesuffix('/v1')}/health")[1]["largest_batch"] <= 12


WRONG = {
    "no JSON": (b"{", 400, "not JSON"), "no object": (b"[]", 400, "a JSON object"), "another model": ({"model": "gpt-5"}, 404, "one model"),
    "an unknown key": ({"temprature": 1}, 400, "temprature has no effect here"), "too long": ({"max_tokens": 100_000}, 400, "exceed the model's context"),
    "too long a prompt": ({"messages": [{"role": "user", "content": "cat " * 2000}], "max_tokens": None}, 400, "exceed the model's context"),
    "too big": (b"x" * (5 << 20), 400, "longer than"),
}  # fmt: skip


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_request_is_shown_what_is_wrong(server, name: str) -> None:
    body, code, what = WRONG[name]
    if isinstance(body, dict):
        body = json.dumps({"messages": HI, "max_tokens": 8} | body).encode()
    status, answer = raw(f"{server[0]}/chat/completions", body)
    assert status == code
    assert what in answer["error"]["message"]


def test_it_is_reached_by_loopbacks_own_names_only(server) -> None:
    status, _ = raw(f"{server[0]}/models", headers={"host": "evil.example.org"})
    assert status == 400


def test_what_the_server_does_not_have_is_answered_in_openais_format(server) -> None:
    for method, path, code in (("POST", "completions", 404), ("GET", "chat/completions", 405)):
        status, answer = raw(f"{server[0]}/{path}", method=method)
        assert (status, answer["error"]["code"]) == (code, "unknown_url")
        assert answer["error"]["message"].startswith(f"there is no {method} /v1/{path} here: this server answers GET /health")
        assert "POST /v1/chat/completions" in answer["error"]["message"]
    with (
        pytest.raises(openai.NotFoundError, match="there is no POST /v1/embeddings here"),
        openai.OpenAI(base_url=server[0], api_key="none", max_retries=0, http_client=httpx2.Client(trust_env=False)) as client,
    ):
        client.embeddings.create(model=server[1], input="cat")


def test_a_web_page_from_elsewhere_is_refused(server) -> None:
    body = json.dumps({"messages": HI, "max_tokens": 1}).encode()
    for origin in ("https://evil.example.org", "null", "http://127.0.0.1:1"):
        assert raw(f"{server[0]}/chat/completions", body, headers={"origin": origin})[0] == 403
    own = server[0].removesuffix("/v1")
    assert raw(f"{server[0]}/chat/completions", body, headers={"origin": own})[0] == 200


def test_disconnected_clients_leave_nothing_behind(server) -> None:
    host, _, port = server[0].removeprefix("http://").removesuffix("/v1").partition(":")
    head = f"POST /v1/chat/completions HTTP/1.1\r\nhost: {host}:{port}\r\ncontent-type: application/json\r\ncontent-length: 1000\r\n\r\n{{"
    for _ in range(300):
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(head.encode())
    assert raw(f"{server[0].removesuffix('/v1')}/health")[1]["in_progress"] == 0
    assert asked(server).choices


def test_a_disconnected_client_frees_its_slot(server) -> None:
    body = {"model": server[1], "messages": HI, "max_tokens": 400, "stream": True, "seed": 1, "temperature": 1.5}
    with httpx2.stream("POST", f"{server[0]}/chat/completions", json=body, trust_env=False) as stream:
        assert next(stream.iter_lines()).startswith("data: ")
    wait_until(lambda: raw(f"{server[0].removesuffix('/v1')}/health")[1]["in_progress"] == 0)
    assert asked(server).choices


def test_it_ends_with_the_process_that_started_it(tiny_model, tmp_path) -> None:
    script = (
        "import sys, time\nfrom pathlib import Path\nfrom recipekit.runner.providers.local_server import served\n"
        "with served(sys.argv[1], Path('.')) as (url, _):\n    print(url, flush=True)\n    time.sleep(600)\n"
    )
    starter = subprocess.Popen([sys.executable, "-c", script, str(tiny_model)], stdout=subprocess.PIPE, text=True, cwd=tmp_path)
    assert starter.stdout
    url = starter.stdout.readline().strip()
    assert raw(f"{url}/models")[0] == 200
    starter.kill()
    starter.communicate()

    def ended() -> bool:
        try:
            raw(f"{url}/models")
        except (OSError, http.client.HTTPException):  # refused, or closed in the middle of the reply
            return True
        return False

    wait_until(ended)
