"""A server that is asked, left in the middle and attacked keeps its memory flat. RECIPEKIT_SERVE_REQUESTS=86400 tries a day's requests."""

import http.client
import json
import os
import socket
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from urllib.parse import urlsplit

import pytest

pytest.importorskip("uvicorn", reason="needs the extra [serve]")

from recipekit.runner.inference.bounded_protocol import MAX_CONNECTIONS
from recipekit.runner.providers.local_server import served

from ...support.waiting import PATIENCE, wait_until

REQUESTS = int(os.environ.get("RECIPEKIT_SERVE_REQUESTS", 16_000))
CONNECTIONS = REQUESTS // 8  # over 10,000 of a whole day
MOST_GROWTH = 24 << 20  # bytes; a leak of 1 kB a request would be 84 MB
SAY = {"messages": [{"role": "user", "content": "Where does the cat sleep?"}], "max_tokens": 1, "temperature": 0}
GET, POST = ("GET", "/health", None, {}), ("POST", "/v1/chat/completions")
# (method, path, body, headers) and the status of its answer
CHEAP = [
    (GET, 200),
    (("GET", "/v1/models", None, {}), 200),
    (("GET", "/nothing", None, {}), 404),
    (("DELETE", "/v1/models", None, {}), 405),
    ((*POST, b"{", {}), 400),
    ((*POST, b"[" * 10_000, {}), 400),
    ((*POST, json.dumps({**SAY, "n": 3}).encode(), {}), 400),
    ((*POST, json.dumps({**SAY, "model": "other"}).encode(), {}), 404),
    ((*POST, json.dumps(SAY).encode(), {"Origin": "https://evil.example"}), 403),
    (("GET", "/health", None, {"Host": "evil.example"}), 400),
]
REPLIES = [((*POST, json.dumps({**SAY, "stream": stream}).encode(), {}), 200) for stream in (False, True)]
HEAD = b"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n"
# What a client sends that then leaves: nothing, half a request, a body that is cut off, a stream that nobody reads.
LEAVING = [b"", b"G", HEAD, HEAD + b"content-length: 9999\r\n\r\n{", HEAD + b"transfer-encoding: chunked\r\n\r\n5\r\n{\"mes\r\n"]  # fmt: skip
UNREAD = json.dumps({**SAY, "stream": True, "max_tokens": 4}).encode()


def resident(process: int) -> int:
    """The bytes of memory that the process holds."""
    return int(Path(f"/proc/{process}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def listener_of(port: int) -> int:
    """The process that listens on the port."""
    inodes = {line.split()[9] for line in Path("/proc/net/tcp").read_text().splitlines()[1:] if line.split()[1].endswith(f":{port:04X}")}
    for folder in Path("/proc").glob("[0-9]*/fd"):
        try:
            names = {os.readlink(path) for path in folder.iterdir()}
        except OSError:
            continue
        if any(f"socket:[{inode}]" in names for inode in inodes):
            return int(folder.parent.name)
    raise AssertionError(f"nobody listens on {port}")


def ask(host: str, port: int, count: int) -> Counter[int]:
    """So many requests of every kind over kept connections, with their answers' statuses checked; a hundredth is real replies."""
    found: Counter[int] = Counter()
    connection = http.client.HTTPConnection(host, port, timeout=PATIENCE)
    for number in range(count):
        (method, path, body, headers), status = REPLIES[number % 2] if number % 100 == 0 else CHEAP[number % len(CHEAP)]
        connection.request(method, path, body, headers)
        with connection.getresponse() as answer:
            answer.read()
            assert answer.status == status, (method, path, headers, answer.status)
        found[status] += 1
    connection.close()
    return found


def leave(host: str, port: int, count: int) -> None:
    """So many connections that are closed before they were answered."""
    unread = HEAD + b"content-length: %d\r\n\r\n" % len(UNREAD) + UNREAD
    for number in range(count):
        with socket.create_connection((host, port), timeout=PATIENCE) as connection:
            connection.sendall(unread if number % 50 == 0 else LEAVING[number % len(LEAVING)])


@pytest.fixture(scope="module")
def server(tiny_model, tmp_path_factory) -> Iterator[tuple[str, int, int]]:
    with served(str(tiny_model), tmp_path_factory.mktemp("runs")) as (url, _):
        address = urlsplit(url)
        assert address.hostname and address.port
        yield address.hostname, address.port, listener_of(address.port)


def is_idle(host: str, port: int) -> bool:
    """Whether no request is in progress; a server with too many connections open answers 503 until it has noticed that they were closed."""
    with closing(http.client.HTTPConnection(host, port, timeout=PATIENCE)) as connection:
        connection.request("GET", "/health")
        answer = connection.getresponse()
        return answer.status == 200 and json.loads(answer.read())["in_progress"] == 0


@pytest.mark.long
def test_requests_and_abandoned_connections_keep_memory_flat(server) -> None:
    host, port, process = server
    ask(host, port, 2000)  # what is imported, compiled and cached at first
    leave(host, port, 2 * MAX_CONNECTIONS)  # faster than they are closed: memory for as many as are open at once
    wait_until(lambda: is_idle(host, port))
    before = resident(process)
    answered = ask(host, port, REQUESTS - CONNECTIONS)
    leave(host, port, CONNECTIONS)
    wait_until(lambda: is_idle(host, port))
    grown = resident(process) - before
    print(
        f"{sum(answered.values()):,} answers {dict(answered)}, {CONNECTIONS:,} connections left: {before:,} bytes before, {grown:+,} after"
    )
    assert grown < MOST_GROWTH
