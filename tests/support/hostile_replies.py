"""Replies that a hostile server may give: a good one with each part of its JSON replaced or missing, and with headers, statuses and framing
that are none. `bodies`, `events` and `raw_replies` are generated, and the same for every client.
"""

import json
from collections.abc import Iterator
from typing import Any

from .llm_server import OK, Exchange
from .mutation import with_other_types

ODD = (-1, 2**63, 2**70, 1e300, float("nan"), float("inf"), "\ud800", "\0\x1b[31m", "../" * 9, [[]], ["x", 3])
CHARSETS = ("bz2_codec", "zlib_codec", "hex", "rot13", "punycode", "idna", "undefined", "utf-7", "utf-16", "x" * 9000, "\xff", "")
NUMBERS = ("", "-1", "+5", "1e3", "5, 6", "nan", "inf", "1e999", "9" * 30, "9" * 5000, "\xb2")
DATES = (
    "Mon, 01 Jan 2024 00:00:00 +9999999999999999",
    "Mon, 99999999999999999999 Jan 2024 00:00:00 GMT",
    "Mon, 1 Jan , 0:0 x",
    "0001-01-01",
    "Mon,",
)
PLACES = ("", "/", "//", "http://", "http://[::1", "/" + "a" * 70_000, "ftp://127.0.0.1/", "http://127.0.0.1:99999/", "http://a:b@127.0.0.1:1/x",
          "javascript:x", "\xff", "?", "#", "http://localhost:1/", "../" * 99)  # fmt: skip
HEADERS = {
    "content-type": ("", "text/html", "\xff", *(f"{kind}; charset={name}" for kind in ("application/json", "text/plain") for name in CHARSETS)),
    "content-length": NUMBERS, "content-encoding": ("gzip", "br", "deflate, gzip", "x" * 9000, "", "identity, identity"),
    "transfer-encoding": ("gzip", "chunked, chunked", "x", ""), "location": PLACES, "retry-after": (*NUMBERS, *DATES),
    "ratelimit": tuple(f'"api";r=0;t={number}' for number in NUMBERS), "link": tuple(f'<{place}>; rel="next"' for place in PLACES),
    "etag": ("", '"../../x"', '"/tmp/x/y"', "W/", "\xff"), "x-error-code": ("", "RepoNotFound", "GatedRepo", "RevisionNotFound", "\xff"),
    "x-error-message": ("\x1b[31m", "\xff" * 9000), "x-hf-warning": ("a; \x1b[31m", ";;;"), "x-repo-commit": ("", "../../x", "a" * 9000),
    "connection": ("", "upgrade", "close, close"), "set-cookie": ("a=b; domain=.com", "=" * 9000), "x-xet-hash": ("", "../x"), "x": ("y" * 200_000,),
}  # fmt: skip
STATUSES = (0, 99, 101, 102, 201, 204, 205, 206, 300, 301, 303, 304, 307, 399, 400, 401, 402, 403, 404, 408, 409, 416, 418, 422, 425, 429, 451, 499,
            500, 501, 503, 511, 599, 600, 999, 1000, "abc", "-1", "2 00", "")  # fmt: skip
FRAMES = (b"", b"\r\n", b"\n\n\n\n", b"SSH-2.0-x\r\n", b"\x16\x03\x01\x02\x00", b"HTTP/9.9 200 OK\r\n\r\n", b"HTTP/1.1\r\n\r\n", b"HTTP/1.1 200\r\n\r\n",
          b"HTTP/1.1 200 OK\r\nx\r\n\r\n", b"HTTP/1.1 200 OK\r\n: x\r\n\r\n", b"HTTP/1.1 200 OK\r\n x: y\r\n\r\n", b"HTTP/1.1 200 OK\r\nx: \0\r\n\r\n",
          b"HTTP/1.1 200 OK\r\ncontent-length: 9\r\ncontent-length: 8\r\n\r\n{}", b"HTTP/1.1 100 X\r\n\r\n" * 99, b"HTTP/1.0 200 OK\r\n\r\n{}",
          *(b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n" + chunk
            for chunk in (b"", b"x\r\n", b"-1\r\n\r\n", b"f" * 30 + b"\r\n{}", b"2;x\r\n{}", b"2\r\n{}x\r\n0\r\n\r\n", b"0\r\nx\r\n\r\n")))  # fmt: skip


def bodies(good: dict[str, Any]) -> Iterator[bytes]:
    """JSON of another shape, and what is no JSON."""
    for value in (*with_other_types(good), *_odd(good), None, [], {}, 3, "x", True):
        yield json.dumps(value).encode()
    yield from (
        b"",
        b"\xff",
        b"\xef\xbb\xbf{}",
        b"{" * 50_000,
        b"[" * 50_000,
        b'{"a":' * 50_000,
        b'{"id": 1' + b"0" * 5000 + b"}",
        b"\0",
        b"{}{}",
    )


def _odd(value: Any) -> Iterator[Any]:
    yield from ODD
    if isinstance(value, dict):
        yield from ({**value, key: odd} for key in value for odd in _odd(value[key]))
    elif isinstance(value, list) and value:
        yield from ([odd, *value[1:]] for odd in _odd(value[0]))


def raw_replies(good: dict[str, Any]) -> Iterator[bytes]:
    """Whole replies as bytes: the good body under hostile headers and statuses, hostile bodies, and what is no HTTP."""
    body = json.dumps(good).encode()
    for name, values in HEADERS.items():
        yield from (
            _reply("307 X" if name == "location" else status, body, {name: value}) for value in values for status in ("200 OK", "429 X")
        )
    for status in STATUSES:
        yield from (_reply(f"{status} X", body, {}), _reply(f"{status} X", b'{"error": {"message": "\\ud800\\n\\u001b", "code": [3]}}', {}))
    for hostile in bodies(good):
        yield _reply("200 OK", hostile, {})
    for hostile in bodies({"error": {"message": "no", "code": 1, "type": "x"}, "errors": [{"message": "no"}]}):
        yield _reply("500 X", hostile, {})
    yield from FRAMES


def _reply(status: str, body: bytes, headers: dict[str, str]) -> bytes:
    lines = {"content-type": "application/json", "content-length": str(len(body)), "connection": "close", **headers}
    return f"{OK[:9]}{status}\r\n".encode() + b"".join(f"{k}: {v}\r\n".encode("latin-1") for k, v in lines.items()) + b"\r\n" + body


def stream_of(event: bytes, good: dict[str, Any]) -> bytes:
    """A stream with this event, and then a good one and its end."""
    return f"{OK}\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n".encode() + b"".join(
        b"data: " + part + b"\n\n" for part in (event, json.dumps(good).encode(), b"[DONE]")
    )


def say(exchange: Exchange, reply: bytes) -> None:
    """Send these bytes, and no more."""
    import socket

    exchange.raw(reply)
    exchange.sock.shutdown(socket.SHUT_RDWR)
