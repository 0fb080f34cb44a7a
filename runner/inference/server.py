"""Serve chat completions (complete or streamed), models and health."""

import asyncio
import resource
import secrets
import socket
from collections.abc import AsyncIterator
from typing import Any

import orjson
import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from ...schemas.base.counted import counted
from ...schemas.base.errors import UserError
from ...schemas.base.loopback import LOOPBACK_HOSTS
from ..worker.generation import Reply
from ..worker.loading import LoadedModel
from ..worker.tokenization import RefusedMessages
from .batching import Batcher, StreamingDecoder
from .bounded_protocol import MAX_CONNECTIONS, BoundedProtocol
from .guards import HostGuard, error_response
from .protocol import BadRequest, ChatRequest, chunk, completion, error_body, read_request, usage, usage_chunk
from .request_body import with_body

MAX_WAITING = 1024
IDLE_SECONDS = 15


class Chats:
    """The routes' state: the model, the default system prompt, the decoding thread, and the number of waiting requests."""

    def __init__(self, served: LoadedModel, max_batch: int, system_prompt: str | None = None) -> None:
        self.served = served
        self.system = [{"role": "system", "content": system_prompt}] if system_prompt else []
        self.batcher = Batcher(served, max_batch, lambda reply, error: reply.on_token(_broken(reply, error)))
        self.tokenizing, self.in_progress = asyncio.Lock(), 0

    async def health(self, request: Request) -> Response:
        """Return that the model answers, and how many requests are in progress."""
        facts = {"status": "ok", "model": self.served.name, "in_progress": self.in_progress}
        return JSONResponse(facts | {"largest_batch": max(self.batcher.batches, default=0)})

    async def models(self, request: Request) -> Response:
        """List the one model."""
        return JSONResponse({"object": "list", "data": [model_card(self.served.name)]})

    @with_body
    async def chat(self, request: Request, body: Any) -> Response:
        """Answer POST /v1/chat/completions."""
        asked = read_request(body)
        if body.get("model") not in (None, self.served.name):
            return error_response(404, f"this server has one model: {self.served.name}", "model", "model_not_found")
        if self.in_progress >= MAX_WAITING:
            headers = {"retry-after": "1"}
            return JSONResponse(error_body("too many requests are waiting", "rate_limit_error"), status_code=429, headers=headers)
        reply, parts = self._reply(asked, await self._prompt_ids(asked))
        identity = f"chatcmpl-{secrets.token_hex(12)}"
        self.in_progress += 1
        self.batcher.put(reply)
        if asked.stream:
            return StreamingResponse(self._stream(identity, asked, reply, parts), media_type="text/event-stream")
        return await self._whole(identity, request, reply, parts)

    async def _prompt_ids(self, asked: ChatRequest) -> list[int]:
        """Return the tokens of the prompt. Raises BadRequest if the template refuses it.

        In a thread, one prompt after the other: megabytes take seconds, and others are answered meanwhile.
        """
        own = any(message["role"] == "system" for message in asked.messages)
        try:
            async with self.tokenizing:
                return await asyncio.to_thread(self.served.prompt_ids, asked.messages if own else [*self.system, *asked.messages])
        except RefusedMessages as error:
            raise BadRequest(str(error), "messages") from None

    def _reply(self, asked: ChatRequest, ids: list[int]) -> tuple[Reply, asyncio.Queue[str | None]]:
        """Return the reply to generate, and the queue of its text, ended by None. Raises BadRequest if it would not fit."""
        room = self.served.context - len(ids)
        wanted = asked.max_new_tokens or room
        if room < 1 or (asked.max_new_tokens and wanted > room):
            tokens = f"{counted(len(ids), 'prompt token')} and {asked.max_new_tokens or 1} new"
            what = f"{tokens} exceed the model's context of {self.served.context}"
            raise BadRequest(what, "messages", "context_length_exceeded")
        parts: asyncio.Queue[str | None] = asyncio.Queue()
        loop, forward = asyncio.get_running_loop(), _TextQueue(self.served, parts)
        seed = asked.seed if asked.seed is not None else secrets.randbits(63)
        reply = Reply(ids, wanted, asked.temperature, asked.top_p, asked.repetition_penalty, seed % 2**63)
        reply.on_token = lambda now: loop.call_soon_threadsafe(
            forward, list(now.token_ids) if asked.stream or now.finish else None, now.finish
        )
        return reply, parts

    async def _whole(self, identity: str, request: Request, reply: Reply, parts: asyncio.Queue[str | None]) -> Response:
        disconnected = asyncio.create_task(_disconnected(request))
        try:
            collected = asyncio.create_task(_collected(parts))
            await asyncio.wait({collected, disconnected}, return_when=asyncio.FIRST_COMPLETED)
            if not collected.done():
                collected.cancel()
                reply.cancelled = True
                return Response(status_code=499)
            text = collected.result()
        finally:
            disconnected.cancel()
            self.in_progress -= 1
        if reply.finish not in ("stop", "length"):
            return JSONResponse(error_body("the model failed; see the server's log", "server_error"), status_code=500)
        counts = usage(len(reply.prompt_ids), len(reply.token_ids))
        return JSONResponse(completion(identity, self.served.name, text, reply.finish, counts))

    async def _stream(self, identity: str, asked: ChatRequest, reply: Reply, parts: asyncio.Queue[str | None]) -> AsyncIterator[bytes]:
        """Yield server-sent events. A failed reply ends without [DONE], so that no client takes it for complete."""
        name = self.served.name
        try:
            yield _event(chunk(identity, name, {"role": "assistant", "content": ""}, None))
            while (text := await parts.get()) is not None:
                yield _event(chunk(identity, name, {"content": text}, None))
            if reply.finish not in ("stop", "length"):
                yield _event(error_body("the model failed; see the server's log", "server_error"))
                return
            yield _event(chunk(identity, name, {}, reply.finish))
            if asked.include_usage:
                yield _event(usage_chunk(identity, name, usage(len(reply.prompt_ids), len(reply.token_ids))))
            yield b"data: [DONE]\n\n"
        finally:
            reply.cancelled = True
            self.in_progress -= 1


class _TextQueue:
    """Puts the text of growing replies on a queue, in the event loop."""

    def __init__(self, served: LoadedModel, parts: asyncio.Queue[str | None]) -> None:
        self.growing, self.parts = StreamingDecoder(served.tokenizer), parts

    def __call__(self, token_ids: list[int] | None, finish: str) -> None:
        if token_ids is not None and (new := self.growing.new(token_ids, bool(finish))):
            self.parts.put_nowait(new)
        if finish:
            self.parts.put_nowait(None)


def create_app(
    served: LoadedModel, max_batch: int = 16, hosts: tuple[str, ...] = LOOPBACK_HOSTS, system_prompt: str | None = None
) -> Starlette:
    """Return the application. `hosts` are the host names that requests may use, so that a foreign web page cannot reach it by another
    name."""
    chats = Chats(served, max_batch, system_prompt)
    routes = [
        Route("/health", chats.health),
        Route("/v1/models", chats.models),
        Route("/v1/chat/completions", chats.chat, methods=["POST"]),
    ]
    return guarded(routes, hosts)


def guarded(routes: list[Route], hosts: tuple[str, ...]) -> Starlette:
    """Return an application of the routes that accepts only these host names. Whatever is wrong is answered in OpenAI's format."""
    there = ", ".join(f"{' or '.join(sorted((route.methods or set()) - {'HEAD'}))} {route.path}" for route in routes)

    async def refused(request: Request, error: Any) -> Response:
        what = f"there is no {request.method} {request.url.path} here: this server answers {there}"
        response = error_response(error.status_code, what, None, "unknown_url")
        response.headers.update(error.headers or {})
        return response

    handlers: dict[Any, Any] = {HTTPException: refused, Exception: _failed}
    app = Starlette(routes=routes, middleware=[Middleware(HostGuard, hosts=hosts)], exception_handlers=handlers)
    app.state.parsing = asyncio.Lock()
    return app


async def _failed(request: Request, error: Exception) -> Response:
    return JSONResponse(error_body("the server failed; see its log", "server_error"), status_code=500)


def model_card(name: str) -> dict[str, Any]:
    """Return the model's entry in the list of models."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "recipekit"}


def _broken(reply: Reply, error: BaseException) -> Reply:
    import logging

    logging.getLogger("uvicorn.error").error("a reply failed: %s: %s", type(error).__name__, error)
    reply.finish = "failed"
    return reply


async def _collected(parts: asyncio.Queue[str | None]) -> str:
    found = []
    while (part := await parts.get()) is not None:
        found.append(part)
    return "".join(found)


async def _disconnected(request: Request) -> None:
    while not await request.is_disconnected():
        await asyncio.sleep(0.1)


def _event(value: Any) -> bytes:
    return b"data: %b\n\n" % orjson.dumps(value)


def bound(host: str, port: int) -> socket.socket:
    """Return a listening socket. Raises UserError if the address is not available."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With the protocol named, asyncio sets TCP_NODELAY on its connections; without it, each answer waits 40 ms for the client's ACK.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise UserError(f"cannot listen on {host}:{port}: {error.strerror}", hint="choose another --port") from None
    listener.listen(1024)
    return listener


def serve(app: Starlette, listener: socket.socket, log_level: str = "warning") -> None:
    """Serve until a signal stops it."""
    _allow_open_files(2 * MAX_CONNECTIONS + 1024)  # new ones are accepted before old ones are closed
    config = uvicorn.Config(
        app, http=BoundedProtocol, log_level=log_level, access_log=False, timeout_graceful_shutdown=5, server_header=False,
        timeout_keep_alive=IDLE_SECONDS, ws="none",
    )  # fmt: skip
    uvicorn.Server(config).run(sockets=[listener])


def _allow_open_files(wanted: int) -> None:
    """Raise this process's own limit on open files, as far as the system lets it."""
    now, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if now != resource.RLIM_INFINITY and now < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted if most == resource.RLIM_INFINITY else min(wanted, most), most))
