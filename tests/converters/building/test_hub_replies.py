"""A hub that misbehaves costs the request alone: bounded memory, bounded time, no token for others."""

import contextlib
import time
from contextlib import contextmanager
from typing import Any

import pytest

pytest.importorskip("huggingface_hub", reason="needs the extra [data]: huggingface_hub")

import httpx
from huggingface_hub import HfApi, HfFileSystem, hf_hub_download
from huggingface_hub.utils._http import close_session
from recipekit.converters.building import hub_replies
from recipekit.converters.building.hub_client import hub_reply, is_invalid_reply, limit_hub_client

from ...support.llm_server import MALFORMED, OK, announced, endless, gzip_bomb, redirect, serving, slow_loris
from ...support.waiting import PATIENCE

FACTS = {"id": "someone/model", "sha": "a" * 40, "siblings": [{"rfilename": "config.json"}], "tags": [], "private": False}
TOKEN = "hf_" + "planted0123456789abcdef"
SLACK = 16 << 20  # what the kernel's buffers between two processes may hold


@pytest.fixture(autouse=True)
def _limited(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1,localhost")
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_OFFLINE", False)
    limit_hub_client()
    close_session()
    yield
    close_session()


@contextmanager
def hub(behave):
    """The hub of this process, below a path as some mirrors are."""
    with serving(behave) as server, pytest.MonkeyPatch.context() as patch:
        patch.setattr("huggingface_hub.constants.ENDPOINT", server.url)
        patch.setattr("huggingface_hub.constants.HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}")
        yield server


def asked(behave):
    """What `model_info` raises for a hub that behaves so, and the server."""
    with hub(behave) as server:
        with pytest.raises(Exception) as caught:
            hub_reply(lambda: HfApi(endpoint=server.url, token=TOKEN).model_info("someone/model", timeout=PATIENCE))
        return caught.value, server


def test_an_endless_body_is_cut_off(monkeypatch):
    monkeypatch.setattr(hub_replies, "MAX_BODY", 1 << 20)
    error, server = asked(endless)
    assert "a body of more than 1,048,576 bytes" in str(error) and is_invalid_reply(error)
    assert server.sent < SLACK


def test_an_endless_error_and_an_endless_redirect_are_cut_off(monkeypatch):
    monkeypatch.setattr(hub_replies, "MAX_BODY", 1 << 20)
    for status in ("500 X", "404 X", "307 X\r\nlocation: /elsewhere"):

        def behave(exchange, status=status):
            exchange.raw(f"HTTP/1.1 {status}\r\n")
            exchange.raw = lambda text, send=exchange.raw: send(text.removeprefix(f"{OK}\r\n") if isinstance(text, str) else text)
            endless(exchange)

        error, server = asked(behave)
        assert "a body of more than 1,048,576 bytes" in str(error), status
        assert server.sent < SLACK


def test_a_body_that_announces_too_much_is_not_read():
    error, _ = asked(announced)
    assert f"a body of {10 * 2**30:,} bytes" in str(error)


def test_a_compressed_body_is_refused():
    error, _ = asked(gzip_bomb)
    assert "a body compressed with gzip" in str(error)


def test_a_body_that_comes_too_slowly_ends(monkeypatch):
    monkeypatch.setattr(hub_replies, "SECONDS", 0.2)
    error, _ = asked(slow_loris)
    assert "a body that takes more than 0.2 seconds" in str(error)


def test_headers_have_a_limit():
    def behave(exchange):
        exchange.raw(f"{OK}\r\n")
        for number in range(100_000):
            exchange.raw(f"x-{number}: {'y' * 1000}\r\n")
            exchange.server.sent = (number + 1) * 1000

    error, server = asked(behave)
    assert isinstance(error, httpx.RemoteProtocolError) and server.sent < SLACK


@pytest.mark.parametrize(("first", "part"), [(f"{OK}\r\n", "x: y\r\n"), ("", "HTTP/1.1 103 X\r\n\r\n")], ids=["headers", "early hints"])
def test_headers_have_a_limit_of_time(monkeypatch, first, part):
    """There is never a silence, and always another part."""
    monkeypatch.setattr(hub_replies, "HEADER_SECONDS", 0.5)

    def behave(exchange):
        exchange.raw(first)
        with contextlib.suppress(OSError):
            while True:
                exchange.raw(part)
                time.sleep(0.05)

    error, _ = asked(behave)
    assert "headers that take more than 0.5 seconds" in str(error)


def test_a_body_that_is_sent_has_its_own_time():
    request = httpx.Request("PUT", "http://hub/x", content=b"x" * (1 << 20))
    assert hub_replies.sending_seconds(request) == hub_replies.HEADER_SECONDS + 64
    assert hub_replies.sending_seconds(httpx.Request("PUT", "http://hub/x", content=iter([b"x"]))) is None


@pytest.mark.parametrize("seconds", ["99999999", "9" * 5000])
def test_no_hub_makes_a_command_sleep_for_years(seconds):
    with hub(lambda exchange: exchange.send("HTTP/1.1 429 X", {}, ratelimit=f'"api";r=0;t={seconds}')) as server:
        with pytest.raises((httpx.RemoteProtocolError, ValueError), match="to wait for 99,999,999 seconds|4300 digits") as caught:
            list(HfApi(endpoint=server.url).list_repo_tree("someone/model"))
        assert is_invalid_reply(caught.value) and len(server.asked) == 1


def test_a_list_of_files_has_an_end(monkeypatch):
    monkeypatch.setattr(hub_replies, "MAX_PAGES", 5)
    with hub(lambda exchange: exchange.send(OK, [], link=f'<{exchange.server.url}/api/next>; rel="next"')) as server:
        with pytest.raises(httpx.RemoteProtocolError, match="more than 5 pages"):
            list(HfApi(endpoint=server.url).list_repo_tree("someone/model"))
        assert len(server.asked) == 6


def tagged(tag):
    """A hub with a file of this ETag: its headers, and then the file."""
    head = f"{OK}\r\n{tag}\r\nx-repo-commit: {'a' * 40}\r\ncontent-length: 4\r\n\r\n"
    return lambda exchange: exchange.raw(head + "rows" * (exchange.number > 0))


@pytest.mark.parametrize("name", ["etag", "x-linked-etag"])
def test_no_hub_chooses_where_a_file_is_written(tmp_path, name):
    """huggingface_hub takes the ETag for the file's name in its cache, and so an absolute path."""
    with hub(tagged(f'{name}: "{tmp_path}/elsewhere"')) as server, pytest.raises(httpx.RemoteProtocolError, match="an ETag with a slash"):
        hf_hub_download("someone/model", "config.json", endpoint=server.url, cache_dir=tmp_path / "cache")
    assert not (tmp_path / "elsewhere").exists()


def test_a_weak_etag_is_one(tmp_path):
    with hub(tagged('etag: W/"x"')) as server:
        assert hf_hub_download("someone/model", "config.json", endpoint=server.url, cache_dir=tmp_path)


def test_the_charset_of_a_reply_is_not_used():
    """Some unpack, and one takes minutes for a megabyte."""
    error, _ = asked(lambda exchange: exchange.send("HTTP/1.1 500 X", b"it is +AGE-", kind="text/plain; charset=utf-7"))
    assert str(error).endswith("it is +AGE-")


def test_https_is_not_left(monkeypatch):
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", "https://hub")
    with pytest.raises(httpx.RemoteProtocolError, match="an unencrypted reply from cdn"):
        hub_replies.ReplyLimits().request(httpx.Request("GET", "http://cdn/x"))


@pytest.mark.parametrize("name", sorted(MALFORMED.keys() - {"no choices"}))  # {} is a model without files, which is reported elsewhere
def test_a_reply_of_another_shape_is_an_invalid_reply(name):
    error, _ = asked(MALFORMED[name])
    assert is_invalid_reply(error), error


def test_no_other_host_gets_the_token():
    """localhost and 127.0.0.1 are two hosts to a client."""
    seen = []

    def other(exchange):
        seen.append(exchange.headers)
        exchange.send(OK, FACTS)

    def first(exchange):
        seen.append(exchange.headers)
        redirect(f"http://localhost:{elsewhere.port}/api/models/someone/model")(exchange)

    with serving(other) as elsewhere, hub(first) as server:
        assert HfApi(endpoint=server.url, token=TOKEN).model_info("someone/model").sha == FACTS["sha"]
    assert [TOKEN in str(headers) for headers in seen] == [True, False]


def test_redirects_have_an_end():
    """huggingface_hub follows a relative redirect of a file itself, and again, without counting."""
    with hub(redirect("/v1/someone/model/resolve/main/config.json")) as server, pytest.raises(httpx.RemoteProtocolError) as caught:
        hf_hub_download("someone/model", "config.json", endpoint=server.url)
    assert "more than 20 redirects" in str(caught.value)
    assert len(server.asked) == hub_replies.MAX_REDIRECTS + 1


def file_hub(body):
    """A hub that has one file, of 10 bytes, and sends it as `body` does."""

    def behave(exchange):
        if "/api/" in exchange.path:
            entry = {"type": "file", "path": "rows.jsonl", "oid": "b" * 40, "size": 10}
            exchange.send(OK, [entry] if "paths-info" in exchange.path or "tree" in exchange.path else FACTS)
        elif exchange.headers.get("range") or "etag" in exchange.server.seen:
            body(exchange)
        else:
            exchange.server.seen.add("etag")
            exchange.raw(f'{OK}\r\netag: "x"\r\nx-repo-commit: {"a" * 40}\r\ncontent-length: 10\r\n\r\n')

    return behave


def test_a_file_longer_than_it_may_be_is_cut_off(tmp_path, monkeypatch):
    monkeypatch.setattr(hub_replies, "MAX_FILE", 1 << 20)
    with hub(file_hub(endless)) as server:
        with pytest.raises(httpx.RemoteProtocolError, match="more than 1,048,576 bytes"):
            hf_hub_download("someone/model", "config.json", endpoint=server.url, cache_dir=tmp_path)
        assert server.sent < SLACK
    assert not [*tmp_path.rglob("snapshots/*/*")]


def test_a_part_of_a_file_has_a_limit(monkeypatch):
    monkeypatch.setattr(hub_replies, "MAX_BODY", 1 << 20)
    with hub(file_hub(endless)) as server:
        files: Any = HfFileSystem(endpoint=server.url, skip_instance_cache=True)
        with pytest.raises(httpx.RemoteProtocolError, match="more than 1,048,576 bytes"):
            files.open("datasets/someone/model/rows.jsonl", block_size=5)._fetch_range(0, 5)
        assert server.sent < SLACK


def test_a_long_part_of_a_file_may_take_longer_than_a_reply():
    """A column of a Parquet file may have hundreds of megabytes, and a connection one megabyte per second."""
    request = httpx.Request("GET", "http://hub/x", headers={"range": f"bytes=0-{(200 << 20) - 1}"})
    limit, seconds = hub_replies._limits(httpx.Response(206, request=request))
    assert limit == 200 << 20 and seconds is not None and seconds > 200 * hub_replies.SECONDS


def test_a_file_whose_length_is_announced_may_be_longer_than_a_reply(tmp_path, monkeypatch):
    monkeypatch.setattr(hub_replies, "MAX_BODY", 5)
    monkeypatch.setattr(hub_replies, "MAX_FILE", 5)
    with hub(file_hub(lambda exchange: exchange.send(OK, b"0123456789"))) as server:
        path = hf_hub_download("someone/model", "config.json", endpoint=server.url, cache_dir=tmp_path)
    with open(path, "rb") as stream:
        assert stream.read() == b"0123456789"


@pytest.mark.parametrize(
    ("address", "token"), [("http://hub.example", TOKEN), ("http://10.0.0.7:8080", TOKEN), ("http://hub.example", False)]
)
def test_a_token_is_sent_over_https_or_to_this_machine_alone(monkeypatch, address, token):
    """A mirror without encryption may be asked, but not with the token."""
    asked: list[httpx.Request] = []

    def handle(self, request):
        asked.append(request)
        raise httpx.ConnectError("no such host", request=request)

    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", handle)
    monkeypatch.setattr("huggingface_hub.constants.ENDPOINT", address)
    with pytest.raises(httpx.HTTPError) as caught:
        hub_reply(lambda: HfApi(endpoint=address, token=token).model_info("someone/model", timeout=5))
    if token:
        assert "the token is not sent unencrypted to " in str(caught.value) and asked == []
    else:
        assert [request.headers.get("authorization") for request in asked] == [None]
