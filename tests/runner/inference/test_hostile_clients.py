"""Clients that break HTTP's rules, read nothing, ask ahead or come by the thousand: each is answered or closed, others are served, and
nothing is logged as an error. An application without a model; RECIPEKIT_CONNECTIONS sets how many come in the long test."""

import asyncio
import json
import os
import resource
import socket
import threading
import urllib.request
from contextlib import closing, suppress
from types import SimpleNamespace
from typing import ClassVar

import pytest

uvicorn = pytest.importorskip("uvicorn", reason="needs the extra [serve]")

from recipekit.runner.inference import bounded_protocol, request_body
from recipekit.runner.inference.bounded_protocol import BoundedProtocol
from recipekit.runner.inference.request_body import LONG_BODY, read_body, with_body
from recipekit.runner.inference.server import guarded
from recipekit.schemas.base.loopback import LOOPBACK_HOSTS
from starlette.applications import Starlette
from starlette.responses import JSONResponse, StreamingResponse
from starlette.routing import Route

from ...support.waiting import PATIENCE, wait_until

CONNECTIONS = int(os.environ.get("RECIPEKIT_CONNECTIONS", 10_000))
PART = b"x" * 10_000


class Routes:
    """Answers a body with its length, and streams without end."""

    def __init__(self) -> None:
        self.streaming = 0

    @with_body
    async def chat(self, request, body):
        return JSONResponse({"keys": len(body)})

    async def slow(self, request):
        await asyncio.sleep(0.5)
        return JSONResponse({"slow": True})

    async def stream(self, request):
        return StreamingResponse(self.parts(), media_type="text/event-stream")

    async def parts(self):
        self.streaming += 1
        try:
            while True:
                yield PART
                await asyncio.sleep(0)
        finally:
            self.streaming -= 1


class Served:
    """The application in a thread."""

    def __init__(self) -> None:
        self.routes = Routes()
        app = guarded(
            [Route("/chat", self.routes.chat, methods=["POST"]), Route("/stream", self.routes.stream), Route("/slow", self.routes.slow)],
            LOOPBACK_HOSTS,
        )
        self.listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.address = self.listener.getsockname()
        self.server = uvicorn.Server(
            uvicorn.Config(app, http=BoundedProtocol, ws="none", log_config=None, lifespan="off", timeout_graceful_shutdown=10)
        )
        self.thread = threading.Thread(target=self.server.run, kwargs={"sockets": [self.listener]}, daemon=True)
        self.thread.start()
        wait_until(lambda: self.server.started)

    @property
    def open(self) -> int:
        return len(self.server.server_state.connections)

    def connect(self) -> socket.socket:
        return socket.create_connection(self.address, timeout=PATIENCE)

    def answer(self, *parts: bytes) -> bytes:
        """What is answered until the server closes the connection, or leaves it open in silence."""
        found = b""
        with closing(self.connect()) as connection:
            with suppress(OSError):
                for part in parts:
                    connection.sendall(part)
                connection.shutdown(socket.SHUT_WR)
            with suppress(ConnectionError):
                while block := connection.recv(1 << 16):
                    found += block
        return found

    def is_well(self) -> bool:
        asked = urllib.request.Request(f"http://127.0.0.1:{self.address[1]}/chat", b'{"a": 1}')
        with urllib.request.urlopen(asked, timeout=PATIENCE) as answer:
            return json.load(answer) == {"keys": 1}

    def stop(self) -> None:
        self.server.should_exit = True
        self.thread.join()
        self.listener.close()


@pytest.fixture
def served(caplog):
    found = Served()
    yield found
    try:
        assert found.is_well()
        wait_until(lambda: not found.server.server_state.tasks)
    finally:  # an event loop that is left open is reported in whichever test the garbage collector runs
        found.stop()
    assert [record.getMessage() for record in caplog.records if record.levelname in ("ERROR", "CRITICAL") or record.exc_info] == []


def post(*headers: str, body: bytes = b"", target: str = "/chat", host: str = "localhost", version: str = "1.1") -> bytes:
    lines = [f"POST {target} HTTP/{version}", *([f"host: {host}"] if host else []), *headers]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class Asked:
    """A request whose whole body is there."""

    headers: ClassVar[dict[str, str]] = {}

    def __init__(self, app: Starlette) -> None:
        self.app = app

    async def stream(self):
        yield b'{"a": 1}' + b" " * LONG_BODY


def test_others_are_answered_between_two_bodies(monkeypatch) -> None:
    """A hundred long bodies that have all come are not parsed in one go."""
    turn, parsed = 0, []

    def loads(body: bytes) -> dict:
        parsed.append(turn)
        return json.loads(body)

    async def ask() -> None:
        nonlocal turn
        app = guarded([], LOOPBACK_HOSTS)
        asked = asyncio.gather(*(read_body(Asked(app)) for _ in range(100)))
        while not asked.done():
            turn += 1
            await asyncio.sleep(0)

    monkeypatch.setattr(request_body, "orjson", SimpleNamespace(loads=loads, JSONDecodeError=ValueError))
    asyncio.run(ask())
    assert len(parsed) == len(set(parsed)) == 100


BODY = b'{"a": 1}'
LARGE = "large"
LENGTH, CHUNKED = f"content-length: {len(BODY)}", "transfer-encoding: chunked"
WHOLE = post(LENGTH, "connection: close", body=BODY)
# What is sent, and the status of the answer; None: closed without one; LARGE: the same, or refused before it was sent.
BAD = {
    "two lengths": (post("content-length: 8", "content-length: 3", body=BODY), 400),
    "a length and chunks": (post(LENGTH, CHUNKED, body=b"8\r\n" + BODY + b"\r\n0\r\n\r\n"), 400),
    "chunks twice": (post(CHUNKED, CHUNKED, body=b"0\r\n\r\n"), 400),
    "chunks by another name": (post("transfer-encoding: xchunked", body=b"0\r\n\r\n"), 400),
    "chunks of a chunk": (post("transfer-encoding: gzip, chunked", body=b"0\r\n\r\n"), 400),
    "a length below zero": (post("content-length: -1"), 400),
    "a length with a sign": (post("content-length: +8", body=BODY), 400),
    "a length of 10^30": (post("content-length: 1" + "0" * 30, body=BODY), 400),
    "a size that is none": (post(CHUNKED, body=b"zz\r\n" + BODY), 400),
    "a size below zero": (post(CHUNKED, body=b"-8\r\n" + BODY), 400),
    "a size of 10^20": (post(CHUNKED, body=b"1" * 21 + b"\r\n" + BODY), 400),
    "a chunk that is longer": (post(CHUNKED, body=b"2\r\n" + BODY + b"\r\n"), 400),
    "a bad size that nobody reads": (post(CHUNKED, target="/nothing", body=b"zz\r\n" + b"x" * 100), 400),
    "100,000 headers": (post(*(f"a{number}: b" for number in range(100_000))), LARGE),
    "a header of a megabyte": (post("a: " + "b" * (1 << 20)), LARGE),
    "a header with a NUL": (post("a: b\0c"), 400),
    "a header without a name": (post(": b"), 400),
    "a folded header": (post("a: b", " c", LENGTH, body=BODY), 200),
    "two hosts": (post("host: evil.example", LENGTH, body=BODY), 400),
    "no host": (post(LENGTH, host="", body=BODY), 400),
    "no host in 1.0": (post(LENGTH, host="", version="1.0", body=BODY), 400),
    "version 1.0": (post(LENGTH, version="1.0", body=BODY), 200),
    "version 3.0": (post(LENGTH, version="3.0", body=BODY), 200),
    "an absolute target": (post(LENGTH, target="http://evil.example/chat", body=BODY), 404),
    "a target with a host": (post(LENGTH, target="//evil.example/chat", body=BODY), 404),
    "a target of percent signs": (post(LENGTH, target="/%00%ff%zz", body=BODY), 404),
    "a long target": (post(LENGTH, target="/" + "a" * 100_000, body=BODY), LARGE),
    "an authority": (b"CONNECT evil.example:443 HTTP/1.1\r\nhost: localhost\r\n\r\n", 404),
    "a star": (b"OPTIONS * HTTP/1.1\r\nhost: localhost\r\n\r\n", 404),
    "an upgrade": (post("connection: upgrade", "upgrade: websocket", "sec-websocket-key: x", LENGTH, body=BODY), 200),
    "an upgrade to HTTP 2": (b"PRI * HTTP/2.0\r\n\r\n", 400),
    "TLS": (bytes.fromhex("16030100c5010000c1030398") + os.urandom(100), 400),
    "bytes": (b"\0\xff" * 1000 + b"\r\n\r\n", 400),
    "a body that is cut": (post("content-length: 999", body=BODY), None),
    "chunks that are cut": (post(CHUNKED, body=b"8\r\n" + BODY), None),
    "half a request": (b"POST /chat HT", None),
    "deep JSON": (post("content-length: 100000", body=b"[" * 100_000), 400),
    "NaN": (post("content-length: 3", body=b"NaN"), 400),
}  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_a_request_that_breaks_the_rules_is_refused(served, name) -> None:
    sent, status = BAD[name]
    answer = served.answer(sent)
    statuses = [int(part[2:5]) for part in answer.split(b"HTTP/1.")[1:]]  # what follows is no second request
    assert statuses == [status] or statuses == [] and status is None or status is LARGE and statuses in ([], [400], [404]), answer[:200]
    wait_until(lambda: not served.open)


HOSTS = {
    "localhost": 200, "LOCALHOST:80": 200, "127.0.0.1:8000": 200, "[::1]:8000": 200, "[::1]": 200, "localhost.": 400, "evil.example": 400, "": 400,
    "localhost.evil.example": 400, "127.0.0.1.nip.io": 400, "evil.example:localhost": 400, "[::1].evil.example": 400, "[::ffff:127.0.0.1]": 400,
    "2130706433": 400, "0.0.0.0": 400, "evil.example@localhost": 400, "localhost@evil.example": 400, "::1": 400,
}  # fmt: skip


@pytest.mark.parametrize("host", HOSTS)
def test_only_names_of_this_machine_are_hosts(served, host: str) -> None:
    answer = served.answer(post(LENGTH, "connection: close", body=BODY, host=host or " "))
    assert int(answer.split(b" ", 2)[1]) == HOSTS[host]


ORIGINS = [
    "null",
    "",
    "https://evil.example",
    "http://localhost:1",
    "http://localhost.evil.example",
    "http://[::1]",
    "localhost",
    "file://",
    "http://LOCALHOST",
]


@pytest.mark.parametrize("origin", ORIGINS)
def test_pages_of_other_sites_are_refused(served, origin: str) -> None:
    assert served.answer(post(f"origin: {origin}", LENGTH, "connection: close", body=BODY)).startswith(b"HTTP/1.1 403")
    assert served.answer(post("origin: http://localhost", LENGTH, "connection: close", body=BODY)).startswith(b"HTTP/1.1 200")


@pytest.mark.parametrize("rest", [b"zz\r\n", b"2\r\n{}\r\n0\r\n\r\n", b"2\r\n{}", b"-1\r\n", b"\0"])
def test_a_body_that_comes_after_its_answer_is_not_taken_for_a_request(served, rest: bytes) -> None:
    with closing(served.connect()) as connection:
        connection.sendall(post(CHUNKED, target="/nothing"))
        answer = b""
        while not answer.endswith(b"}"):
            assert (part := connection.recv(1 << 16)), answer
            answer += part
        assert answer.startswith(b"HTTP/1.1 404")
        connection.sendall(rest)
        connection.shutdown(socket.SHUT_WR)
        with suppress(ConnectionResetError):
            assert connection.recv(1 << 16) == b""


def test_requests_that_come_together_are_answered_in_turn(served) -> None:
    answer = served.answer(post(LENGTH, body=BODY) * 5 + WHOLE)
    assert answer.count(b'{"keys":1}') == 6
    wait_until(lambda: not served.open)


def test_requests_sent_ahead_are_not_collected_without_end(served) -> None:
    with closing(served.connect()) as connection:
        connection.sendall(b"GET /slow HTTP/1.1\r\nhost: localhost\r\n\r\n")
        with pytest.raises(OSError):
            for _ in range(10_000):
                connection.sendall(post(LENGTH, body=BODY) * 1000)
    wait_until(lambda: not served.open)


@pytest.mark.parametrize("path", ["/stream", "/chat"])
def test_a_client_that_does_not_read_is_closed(served, monkeypatch, path: str) -> None:
    """Its answer is dropped, and others are answered meanwhile."""
    monkeypatch.setattr(bounded_protocol, "UNREAD_SECONDS", 0.5)
    connections = []
    for _ in range(20):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        connection.connect(served.address)
        with suppress(OSError):
            connection.settimeout(1)
            connection.sendall(
                f"GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n".encode() if path == "/stream" else post(LENGTH, body=BODY) * 9000
            )
        connections.append(connection)
    assert served.is_well()
    wait_until(lambda: not served.open and not served.routes.streaming)
    for connection in connections:
        connection.close()


def test_a_client_that_reads_slowly_gets_everything(served, monkeypatch) -> None:
    monkeypatch.setattr(bounded_protocol, "UNREAD_SECONDS", 5)
    with closing(served.connect()) as connection:
        connection.sendall(b"GET /stream HTTP/1.1\r\nhost: localhost\r\n\r\n")
        assert sum(len(connection.recv(4096)) for _ in range(1000)) > 100_000
    wait_until(lambda: not served.routes.streaming)


def test_the_connection_that_is_idle_for_the_longest_time_makes_room(served, monkeypatch) -> None:
    monkeypatch.setattr(bounded_protocol, "MAX_CONNECTIONS", 50)
    silent = [served.connect() for _ in range(200)]
    assert served.is_well()
    wait_until(lambda: served.open <= 50)
    with suppress(ConnectionResetError):
        assert silent[0].recv(1) == b""
    silent[-1].sendall(WHOLE)
    assert silent[-1].recv(100).startswith(b"HTTP/1.1 200")
    for connection in silent:
        connection.close()


@pytest.mark.long
def test_thousands_of_connections_at_once_keep_nobody_from_an_answer(served) -> None:
    """In waves of a thousand, all left open: silent ones, halves of requests, answered ones that are kept, and streams that nobody reads."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = CONNECTIONS + 2 * bounded_protocol.MAX_CONNECTIONS + 1000  # both ends are in this process
    assert most >= wanted, f"the system allows {most} open files"
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(now, wanted), most))
    sent = [b"", b"POST /chat HT", post("content-length: 99", body=b"{"), post(LENGTH, body=BODY), post(CHUNKED, body=b"zz\r\n")]
    connections = []
    try:
        for wave in range(0, CONNECTIONS, 1000):
            for number in range(wave, min(wave + 1000, CONNECTIONS)):
                connections.append(served.connect())
                with suppress(ConnectionError):
                    connections[-1].sendall(b"GET /stream HTTP/1.1\r\nhost: localhost\r\n\r\n" if number % 100 == 0 else sent[number % 5])
            assert served.is_well()
            assert served.open <= bounded_protocol.MAX_CONNECTIONS + 1024
    finally:
        for connection in connections:
            connection.close()
    wait_until(lambda: not served.open and not served.routes.streaming)
