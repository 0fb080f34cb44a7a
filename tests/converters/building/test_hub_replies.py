"""A hub that misbehaves costs the request alone: bounded memory, bounded time, no token for others."""

from contextlib import contextmanager

import pytest

pytest.importorskip("huggingface_hub", reason="needs the extra [data]: huggingface_hub")

import httpx
from huggingface_hub import HfApi, HfFileSystem, hf_hub_download
from huggingface_hub.utils import close_session
from recipekit.converters.building import hub_replies
from recipekit.converters.building.hub_client import hub_reply, is_invalid_reply, limit_hub_client

from ...support.llm_server import MALFORMED, OK, announced, endless, gzip_bomb, redirect, serving, slow_loris

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
        server.seen = set()
        yield server


def asked(behave):
    """What `model_info` raises for a hub that behaves so, and the server."""
    with hub(behave) as server:
        with pytest.raises(Exception) as caught:
            hub_reply(lambda: HfApi(endpoint=server.url, token=TOKEN).model_info("someone/model", timeout=5))
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
        files = HfFileSystem(endpoint=server.url, skip_instance_cache=True)
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
