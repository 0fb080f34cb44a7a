"""Connections that send no whole request are closed, however many there are, and leave nothing behind."""

import asyncio
import socket
import threading
import urllib.request

import pytest

uvicorn = pytest.importorskip("uvicorn", reason="needs the extra [serve]")

from recipekit.runner.inference.bounded_protocol import HEADER_SECONDS, BoundedProtocol

from ...support.waiting import PATIENCE, wait_until


async def application(scope, receive, send):
    if scope["type"] == "http":
        await send({"type": "http.response.start", "status": 200, "headers": [(b"content-length", b"2")]})
        await send({"type": "http.response.body", "body": b"ok"})


class HurriedLoop(asyncio.SelectorEventLoop):
    """A loop whose clock can be put forward: a timeout is over at once, and not before the test says so."""

    ahead = 0.0

    def time(self) -> float:
        return super().time() + self.ahead

    def put_forward(self, seconds: float) -> None:
        """Let so many seconds pass; called in another thread."""
        self.call_soon_threadsafe(setattr, self, "ahead", self.ahead + seconds)


@pytest.fixture
def server():
    listener = socket.create_server(("127.0.0.1", 0), backlog=1024)
    running = uvicorn.Server(uvicorn.Config(application, http=BoundedProtocol, log_level="error", lifespan="off"))
    loop = HurriedLoop()

    def run() -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(running.serve(sockets=[listener]))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    wait_until(lambda: running.started)
    yield running, listener.getsockname(), loop
    running.should_exit = True
    thread.join()
    listener.close()


REQUEST = b"GET / HTTP/1.1\r\nhost: localhost\r\n"


@pytest.mark.parametrize(
    "part", [b"", b"G", REQUEST, REQUEST + b"\r\n" + REQUEST], ids=["silent", "a letter", "half", "half of a second one"]
)
def test_a_request_without_an_end_is_closed(server, part) -> None:
    running, address, loop = server
    connections = [socket.create_connection(address, timeout=PATIENCE) for _ in range(200)]
    for connection in connections:
        connection.sendall(part)
    begun = part.rpartition(b"\r\n\r\n")[2]

    def has_come(protocol: BoundedProtocol) -> bool:
        return protocol.conn.trailing_data[0] == begun and not protocol._is_answering()

    wait_until(lambda: sum(map(has_come, [*running.server_state.connections])) == len(connections))
    loop.put_forward(HEADER_SECONDS)
    for connection in connections:
        while connection.recv(4096):
            pass
        connection.close()
    wait_until(lambda: not running.server_state.connections)
    assert urllib.request.urlopen(f"http://127.0.0.1:{address[1]}/", timeout=PATIENCE).read() == b"ok"


def test_thousands_of_connections_leave_nothing_behind(server) -> None:
    running, address, _ = server
    for number in range(3000):
        with socket.create_connection(address, timeout=PATIENCE) as connection:
            connection.sendall([b"", REQUEST, REQUEST + b"\r\n"][number % 3])
    wait_until(lambda: not running.server_state.connections and not running.server_state.tasks)
    assert urllib.request.urlopen(f"http://127.0.0.1:{address[1]}/", timeout=PATIENCE).read() == b"ok"
