"""What goes to a provider, and what its answers mean."""

import asyncio
import bz2
import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from recipekit.runner.providers.client import CallFailed, Client, _seconds, read_completion
from recipekit.runner.providers.endpoints import endpoint
from recipekit.runner.providers.requests import ProviderRequest, Reply
from recipekit.schemas.generate_sections import Provider, Sampling

from ...support.llm_server import chunk, completion, redirect, reply, reserved_port, serving, status, streamed
from ...support.waiting import PATIENCE

ASKED = ProviderRequest("p", "m", ({"role": "user", "content": "Hi"},), Sampling(0.5, 0.9, 33, 1.1), 7)


def ask(behave, asked=ASKED, **changes):
    with serving(behave) as server:
        provider = Provider("openai_compatible", "m", base_url=server.url, **changes)
        return asyncio.run(reply_of(endpoint(provider), asked)), server


async def reply_of(asked_endpoint, asked):
    client = Client.open(asked_endpoint, 2, PATIENCE)
    try:
        return await client.ask(asked)
    finally:
        await client.close()


def test_the_whole_sampling_is_sent() -> None:
    answer, server = ask(reply("hello"))
    assert answer == Reply("hello", "stop", 7, 5)
    assert server.asked == [{
        "model": "m", "messages": [{"role": "user", "content": "Hi"}], "max_tokens": 33, "temperature": 0.5, "top_p": 0.9, "seed": 7,
        "repetition_penalty": 1.1,
    }]  # fmt: skip


def test_the_same_request_has_the_same_idempotency_key() -> None:
    keys = []
    for asked in (ASKED, ASKED, ASKED._replace(seed=8)):
        ask(lambda exchange: (keys.append(exchange.headers["idempotency-key"]), reply()(exchange)), asked)
    assert keys[0] == keys[1] == ASKED.key != keys[2]


def test_a_provider_that_takes_no_seed_is_sent_none() -> None:
    with serving(reply()) as server:
        asyncio.run(reply_of(endpoint(Provider("zhipu", "glm"), server.url, with_key=False), ASKED))
    assert "seed" not in server.asked[0]


def test_a_stream_is_put_together() -> None:
    answer, _ = ask(streamed(["hel", "lo"], finish="length"), stream=True)
    assert (answer.text, answer.finish, answer.metered) == ("hello", "length", False)


OWN = "plain-words-of-mine"  # a key without a shape, in a variable that is not named like one
ECHOES = {
    "the reply": reply(f"your key is {OWN}"), "its end": reply(finish=OWN), "a stream": streamed([OWN[:9], OWN[9:]]), "its type": reply(OWN),
    "the end of a stream": streamed(["a"], finish=OWN),
    "a content type": lambda exchange: exchange.send("HTTP/1.1 200 OK", {}, kind=OWN),
    "an error": lambda exchange: exchange.send("HTTP/1.1 401 X", {"error": {"message": OWN, "type": OWN, "code": OWN}}),
    "a long error": lambda exchange: exchange.send("HTTP/1.1 500 X", {"error": {"message": "x" * 280 + OWN}}),
    "a redirect": lambda exchange: exchange.send("HTTP/1.1 302 X", {}, location=f"http://{OWN}.example/"),
    "no JSON": lambda exchange: exchange.send("HTTP/1.1 200 OK", f'{{"choices": {OWN}'.encode()),
    "a wait": lambda exchange: exchange.send("HTTP/1.1 429 X", {}, retry_after=OWN),
}  # fmt: skip


@pytest.mark.parametrize("place", ECHOES)
def test_a_key_that_the_provider_sends_back_is_masked(place: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Wherever it puts it: failures stand in the log of requests, and how a reply ended beside it."""
    monkeypatch.setenv("MODEL_ACCESS", OWN)
    try:
        found = str(ask(ECHOES[place], key_name="MODEL_ACCESS", stream="stream" in place)[0])
    except CallFailed as failed:
        found = str(failed)
    assert "words" not in found and "plain" not in found


NO_CHUNKS = [
    b"3", b"null", b"[]", b'"x"', b"NaN", b"[" * 100_000, *(
        json.dumps(value).encode()
        for value in (
            {"choices": 3}, {"choices": [3]}, {"choices": {"a": 1}}, {"choices": [None]}, {"choices": [{"delta": 3}]}, {"choices": [{"delta": "x"}]},
            {"choices": [{"delta": {"content": 3}}]}, {"choices": [{"delta": {"content": [1]}}]}, {"choices": [{"delta": {"content": {"a": 1}}}]},
        )
    ),
]  # fmt: skip


def raw_stream(part):
    """A stream with this event, and then a good end."""
    return streamed([part, "x"], encode=lambda part: part if isinstance(part, bytes) else json.dumps(chunk(part)).encode())


@pytest.mark.parametrize("part", NO_CHUNKS, ids=lambda part: part[:40].decode())
def test_an_event_that_is_no_chunk_is_no_reply(part: bytes) -> None:
    with pytest.raises(CallFailed, match="not one of chat completions") as failed:
        ask(raw_stream(part), stream=True)
    assert failed.value.retryable


@pytest.mark.parametrize("usage", ["much", 3, [1], {"prompt_tokens": "x"}])
def test_a_streams_unusable_counts_are_estimated(usage: object, recwarn) -> None:
    answer, _ = ask(raw_stream(json.dumps({"choices": [], "usage": usage}).encode()), stream=True)
    assert (answer.text, answer.metered) == ("x", False)
    assert not recwarn


@pytest.mark.parametrize("charset", ["bz2_codec", "zlib_codec", "hex", "rot13", "punycode", "idna", "undefined", "utf-7"])
@pytest.mark.parametrize("stream", [False, True])
def test_the_charset_of_a_reply_is_not_used(charset: str, stream: bool) -> None:
    body = bz2.compress(b" " * 100_000) if charset == "bz2_codec" else b'{"error": {"message": "because"}}'
    with pytest.raises(CallFailed, match=r"status 500" if charset == "bz2_codec" else "status 500: because"):
        ask(lambda exchange: exchange.send("HTTP/1.1 500 X", body, kind=f"text/plain; charset={charset}"), stream=stream)


@pytest.mark.parametrize("half", ["\\ud800", "\\udfff"])
def test_half_a_surrogate_pair_is_no_text(half: str) -> None:
    with pytest.raises(CallFailed, match="not a chat completion"):
        ask(raw_stream(json.dumps(chunk("x")).replace('"x"}', f'"{half}"}}').encode()), stream=True)
    with pytest.raises(CallFailed, match=r"status 500: \\ud"):
        ask(lambda exchange: exchange.send("HTTP/1.1 500 X", b'{"error": {"message": "%s"}}' % half.encode()))


@pytest.mark.parametrize("target", ["http://[::1", "/" + "a" * 70_000], ids=["half an address", "a long one"])
def test_a_redirect_to_no_address_is_refused(target: str) -> None:
    with pytest.raises(CallFailed, match="redirects to an invalid address"):
        ask(redirect(target))


@pytest.mark.parametrize(
    ("code", "again", "ends"),
    [(400, False, False), (401, False, True), (403, False, True), (404, False, True), (408, True, False), (409, True, False), (422, False, False),
     (429, True, False), (500, True, False), (502, True, False), (529, True, False)],
)  # fmt: skip
def test_an_http_status_decides_on_a_retry(code: int, again: bool, ends: bool) -> None:
    with pytest.raises(CallFailed, match=f"status {code}: because") as failed:
        ask(status(code, "because"))
    assert (failed.value.retryable, failed.value.fatal) == (again, ends)


def test_an_address_without_the_interface_is_explained() -> None:
    with pytest.raises(CallFailed, match="status 404: the address is base_url .* base_url often ends in /v1"):
        ask(lambda exchange: exchange.send("HTTP/1.1 404 X", b"Not Found"))


def test_a_lost_server_is_retried() -> None:
    with reserved_port() as port, pytest.raises(CallFailed, match="ConnectError") as failed:
        asyncio.run(reply_of(endpoint(Provider("openai_compatible", "m", base_url=f"http://127.0.0.1:{port}/v1")), ASKED))
    assert failed.value.retryable


def test_retry_after_is_read_as_seconds_or_as_a_date() -> None:
    assert _seconds("3") == 3
    assert _seconds("-1") == 0
    assert _seconds(None) is None
    assert _seconds("soon") is None
    for hostile in ("nan", "Mon, 01 Jan 2024 00:00:00 +9999999999999999", "Mon, 99999999999999999999 Jan 2024 00:00:00 GMT"):
        assert _seconds(hostile) is None
    assert _seconds(format_datetime(datetime.now(UTC) - timedelta(days=1), usegmt=True)) == 0
    day = _seconds(format_datetime(datetime.now(UTC) + timedelta(days=1), usegmt=True))
    assert day is not None
    assert day == pytest.approx(86_400, rel=0.01)


@pytest.mark.parametrize(
    "body", [None, [], {}, {"choices": []}, {"choices": [{}]}, {"choices": [{"message": None}]}, {"choices": [{"message": {"content": 3}}]}]
)
def test_a_body_without_a_completion_is_not_a_reply(body: object) -> None:
    with pytest.raises(CallFailed, match="not a chat completion"):
        read_completion(body, ASKED)


@pytest.mark.parametrize(
    "usage",
    [None, {}, {"prompt_tokens": 3}, *({"prompt_tokens": 3, "completion_tokens": 1} | {key: count}
                                       for key in ("prompt_tokens", "completion_tokens")
                                       for count in ("3", -3, 0, True, 3.0, 1e300, float("nan"), 2**24 + 1, 2**70, [3]))],
    ids=str,
)  # fmt: skip
def test_uncounted_tokens_are_estimated_at_their_maximum(usage: object) -> None:
    found = read_completion(completion("hi", usage=False) | {"usage": usage}, ASKED)
    assert found == Reply("hi", "stop", 2 + 16, 33, metered=False)
