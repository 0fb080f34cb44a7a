"""Connections that send no whole request are closed, however many there are, and leave nothing behind."""

import socket
import threading
import urllib.request

import pytest

uvicorn = pytest.importorskip("uvicorn", reason="needs the extra [serve]")

from recipekit.runner.inference import bounded_protocol
from recipekit.runner.inference.bounded_protocol import BoundedProtocol

from ...support.waiting import PATIENCE, wait_until


async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setattr(bounded_protocol, "HEADER_SECONDS", 0.3)
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    running = uvicorn.Server(uvicorn.Config(application, http=BoundedProtocol, log_level="error", lifespan="off"))
    thread = threading.Thread(target=running.run, kwargs={"sockets": [listener]}, daemon=True)
    thread.start()
    wait_until(lambda: running.started)
    yield running, listener.getsockname()
    running.should_exit = True
    thread.join()
    listener.close()


REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n"


@pytest.mark.parametrize(
    "part", [b"", b"G", REQUEST, REQUEST + b"\r\n" + REQUEST], ids=["silent", "a letter", "half", "half of a second one"]
)
def test_a_request_without_an_end_is_closed(server, part) -> None:
    running, address = server
    connections = [socket.create_connection(address, timeout=PATIENCE) for _ in range(200)]
    for connection in connections:
        connection.sendall(part)
    for connection in connections:
        while connection.recv(4096):
            pass
        connection.close()
    wait_until(lambda: not running.server_state.connections)
    assert urllib.request.urlopen(f"http://127.0.0.1:{address[1]}/", timeout=PATIENCE).read() == b"ok"


def test_thousands_of_connections_leave_nothing_behind(server) -> None:
    running, address = server
    for number in range(3000):
        with socket.create_connection(address, timeout=PATIENCE) as connection:
            connection.sendall([b"", REQUEST, REQUEST + b"\r\n"][number % 3])
    wait_until(lambda: not running.server_state.connections and not running.server_state.tasks)
    assert urllib.request.urlopen(f"http://127.0.0.1:{address[1]}/", timeout=PATIENCE).read() == b"ok"
