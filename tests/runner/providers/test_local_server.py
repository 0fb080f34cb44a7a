"""A model that is served by a process of its own, whatever that process writes to its log."""

import http.client
import socket
from contextlib import closing
from urllib.parse import urlsplit

import pytest
from recipekit.schemas.base.errors import UserError

pytest.importorskip("uvicorn", reason="needs the extra [serve]")

from recipekit.runner.providers.local_server import served

from ...support.waiting import PATIENCE

PIPE = 64 << 10  # bytes that a pipe holds when nobody reads it
LOGGED = len("WARNING:  Invalid HTTP request received.\n")


def test_a_server_answers_after_logging_more_than_a_pipe_holds(tiny_model, tmp_path) -> None:
    with served(str(tiny_model), tmp_path) as (url, _):
        address = urlsplit(url)
        for _ in range(PIPE // LOGGED + 100):
            with socket.create_connection((address.hostname, address.port), timeout=PATIENCE) as connection:
                connection.sendall(b"not HTTP\r\n\r\n")
                assert b" 400 " in connection.recv(100)
        with closing(http.client.HTTPConnection(str(address.hostname), address.port, timeout=PATIENCE)) as connection:
            connection.request("GET", "/health")
            assert connection.getresponse().status == 200


def test_a_model_that_cannot_be_served_is_named_with_the_end_of_the_log(tiny_model, tmp_path) -> None:
    (broken := tmp_path / "broken").mkdir()
    for file in tiny_model.iterdir():
        (broken / file.name).write_bytes(file.read_bytes() if file.suffix != ".safetensors" else b"\2" + bytes(7) + b"{}")
    with (
        pytest.raises(UserError, match=r"(?s)cannot be served:\n    \| .*its files lack \d+ of its weights"),
        served(str(broken), tmp_path),
    ):
        pass
