"""A small HTTP server on loopback that answers chat completions as asked to: well, or in one of the many ways that go wrong.

Raw sockets, so that it can break off in the middle of a line. Everything it was asked is in `asked`, everything it answered in `answered`.
"""

import asyncio
import gzip
import json
import socket
import threading
import time
from collections.abc import Callable
from contextlib import contextmanager, suppress

from .waiting import PATIENCE

KEY = "sk-planted-0123456789abcdef"
OK = "HTTP/1.1 200 OK"


class Quiet:
    """A display that shows nothing and records what it is given."""

    def __init__(self):
        self.lines = []

    def say(self, *words):
        self.lines.append(words)

    def show(self, *words):
        self.lines.append(words)

    def clear(self):
        pass


class Exchange:
    """One request: the body that came, how many came before it, and the socket to answer on."""

    def __init__(self, sock, server, path, headers, body, number):
        self.sock, self.server, self.path, self.headers, self.body, self.number = sock, server, path, headers, body, number

    @property
    def prompt(self):
        return self.body["messages"][-1]["content"]

    def send(self, status, content, kind="application/json", **headers):
        content = content if isinstance(content, bytes) else json.dumps(content).encode()
        lines = [status, f"content-type: {kind}", f"content-length: {len(content)}"]
        self.raw("\r\n".join([*lines, *(f"{k.replace('_', '-')}: {v}" for k, v in headers.items())]) + "\r\n\r\n")
        self.sock.sendall(content)

    def raw(self, text):
        self.sock.sendall(text if isinstance(text, bytes) else text.encode())


class Server:
    """Answers each request with `behave(exchange)`."""

    def __init__(self, behave: Callable[[Exchange], object], port=0):
        self.behave = behave
        self.asked, self.answered = [], []
        self.sent, self.seen = 0, set()  # for a behaviour: bytes sent, and what was asked before
        self.lock = threading.Lock()
        self.listener = socket.create_server(("127.0.0.1", port), backlog=1024, reuse_port=port != 0)
        self.port = self.listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}/v1"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self):
        with suppress(OSError):
            self.listener.shutdown(socket.SHUT_RDWR)
        self.listener.close()

    def _accept(self):
        while True:
            try:
                sock, _ = self.listener.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _serve(self, sock):
        with suppress(OSError), sock, sock.makefile("rb") as stream:
            while (line := stream.readline()) and line.strip():
                path = line.split()[1].decode()
                headers = {}
                while (field := stream.readline().strip()) and b":" in field:
                    name, _, value = field.decode().partition(":")
                    headers[name.lower()] = value.strip()
                content = stream.read(length := int(headers.get("content-length", 0)))
                if len(content) < length:  # the client was killed while it sent
                    return
                body = json.loads(content or b"null")
                with self.lock:
                    exchange = Exchange(sock, self, path, headers, body, len(self.asked))
                    self.asked.append(body)
                self.behave(exchange)


@contextmanager
def reserved_port():
    """A port for servers of `serving`, one after the other: while there is none, nobody else gets it, and connections are refused."""
    with socket.socket() as held:
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        held.bind(("127.0.0.1", 0))
        yield held.getsockname()[1]


@contextmanager
def serving(behave, port=0):
    """A server that behaves so, on any port or on a reserved one, until the block ends."""
    server = Server(behave, port)
    try:
        yield server
    finally:
        server.close()


def completion(text, finish="stop", usage=True):
    body = {"id": "x", "object": "chat.completion", "created": 1, "model": "m",
            "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": finish}]}  # fmt: skip
    return body | ({"usage": {"prompt_tokens": 7, "completion_tokens": 5, "total_tokens": 12}} if usage else {})


def reply(text: str | Callable[..., str] = "love | joy", finish="stop", usage=True):
    """A good answer; `text` may be made of the exchange."""

    def behave(exchange):
        content = text(exchange) if callable(text) else text
        with exchange.server.lock:
            exchange.server.answered.append(exchange.body)
        exchange.send(OK, completion(content, finish, usage))

    return behave


def then(*behaviours):
    """The first request gets the first behaviour, and so on; all further ones get the last."""
    return lambda exchange: behaviours[min(exchange.number, len(behaviours) - 1)](exchange)


def status(code, message="no", **headers):
    return lambda exchange: exchange.send(f"HTTP/1.1 {code} X", {"error": {"message": message, "code": None}}, **headers)


def hang(exchange):
    """No reply: until the client gives up."""
    exchange.sock.settimeout(PATIENCE)
    exchange.sock.recv(1)


def cut(exchange):
    """Half a reply, then the connection is gone."""
    content = json.dumps(completion("love")).encode()
    exchange.raw(f"{OK}\r\ncontent-type: application/json\r\ncontent-length: {len(content)}\r\n\r\n")
    exchange.raw(content[: len(content) // 2])
    exchange.sock.shutdown(socket.SHUT_RDWR)


def malformed(exchange):
    exchange.send(OK, b'{"choices": [{"message": ')


def other_shape(exchange):
    exchange.send(OK, {"result": "love"})


def wrong_type(exchange):
    exchange.send(OK, b"<html>Log in to the wireless network</html>", kind="text/html")


def _body(name, content):
    """A reply with status 200 that is JSON, but is not what was asked for."""

    def behave(exchange):
        exchange.send(OK, content)

    behave.__name__ = name
    return behave


MALFORMED = {
    name: _body(name.replace(" ", "_"), content)
    for name, content in {
        "null": None, "a number": 3, "a list": [], "no choices": {}, "empty choices": {"choices": []}, "null choices": {"choices": None},
        "choices that are an object": {"choices": {"0": {}}}, "a choice without a message": {"choices": [{}]},
        "a null message": {"choices": [{"message": None}]}, "a message that is text": {"choices": [{"message": "hi"}]},
        "content that is a number": {"choices": [{"message": {"content": 3}}]}, "content that is a list": {"choices": [{"message": {"content": [1]}}]},
        "a finish that is a number": {"choices": [{"message": {"content": "x"}, "finish_reason": 3}]},
        "usage that is text": {"choices": [{"message": {"content": "x"}}], "usage": "much"},
        "tokens beyond 64 bits": {"choices": [{"message": {"content": "x"}}], "usage": {"prompt_tokens": 2**70, "completion_tokens": 1}},
        "half a surrogate": b'{"choices": [{"message": {"content": "\\ud800"}}]}', "not UTF-8": b'{"choices": [{"message": {"content": "\xff"}}]}',
        "deep nesting": b"[" * 100_000, "no bytes": b"",
    }.items()
}  # fmt: skip


def ending_time(monkeypatch) -> Callable[[Callable[[Exchange], object]], Callable[[Exchange], object]]:
    """Have the time that a reply may take end for one behaviour: once it has begun to answer, or hangs. A client has one request at a time."""
    begun, timeout = [], asyncio.timeout

    def noted(seconds):
        begun.append((asyncio.get_running_loop(), timeout(seconds)))
        return begun[-1][1]

    def end():
        loop, waiting = begun[-1]
        loop.call_soon_threadsafe(lambda: waiting.reschedule(loop.time()))

    def too_long(behave):
        def behaving(exchange):
            drop, seen = exchange.raw, []

            def counted(text):
                drop(text)
                seen.append(text)
                if len(seen) == 3:
                    end()

            exchange.raw = counted
            if behave is hang:
                end()
            behave(exchange)

        return behaving

    monkeypatch.setattr(asyncio, "timeout", noted)
    return too_long


def slow_loris(exchange):
    exchange.raw(f"{OK}\r\ncontent-type: application/json\r\ncontent-length: 100000\r\n\r\n")
    with suppress(OSError):
        for _ in range(600):
            exchange.raw(b" ")
            time.sleep(0.05)


def endless(exchange):
    """A body that never ends, in chunks: what a 10 GB body is until it is cut off."""
    exchange.raw(f"{OK}\r\ncontent-type: application/json\r\ntransfer-encoding: chunked\r\n\r\n")
    block = b"10000\r\n" + b" " * 65536 + b"\r\n"
    with suppress(OSError):
        for _ in range(10 * 2**30 // 65536):
            exchange.raw(block)
            exchange.server.sent += len(block)


def announced(exchange):
    exchange.raw(f"{OK}\r\ncontent-type: application/json\r\ncontent-length: {10 * 2**30}\r\n\r\n")


def gzip_bomb(exchange):
    exchange.send(OK, gzip.compress(b" " * (64 << 20)), content_encoding="gzip")


def redirect(target):
    return lambda exchange: exchange.send("HTTP/1.1 307 X", b"", location=target)


def streamed(parts, finish="stop", done=True, encode=lambda part: json.dumps(chunk(part)).encode()):
    """Server-sent events, with or without their end."""

    def behave(exchange):
        exchange.raw(f"{OK}\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        for part in parts:
            exchange.raw(b"data: " + encode(part) + b"\n\n")
        if done:
            exchange.raw(f"data: {json.dumps(chunk(None, finish))}\n\ndata: [DONE]\n\n")
        exchange.sock.shutdown(socket.SHUT_RDWR)

    return behave


def chunk(text, finish=None):
    delta = {} if text is None else {"content": text}
    return {
        "id": "x",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": "m",
        "choices": [{"index": 0, "delta": delta, "finish_reason": finish}],
    }
