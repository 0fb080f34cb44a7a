"""What an endpoint gets of a request: its body, parsed, within bounds of time and size, from whom it may come."""

import asyncio
import os
import secrets
from collections.abc import Awaitable, Callable
from functools import wraps
from typing import Any

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from .guards import error_response, is_foreign
from .protocol import BadRequest

MAX_BODY = 4 << 20
LONG_BODY = 1 << 18
BODY_SECONDS = 30.0
KEY_NAME = "RECIPEKIT_API_KEY"


def with_body(handle: Callable[[Any, Request, Any], Awaitable[Response]]) -> Callable[[Any, Request], Awaitable[Response]]:
    """Give an endpoint the request's body; a missing key, a body that does not arrive, and a BadRequest are answered here."""

    @wraps(handle)
    async def endpoint(self: Any, request: Request) -> Response:
        if refused := unauthorised(request):
            return refused
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await read_body(request)
        except TimeoutError:
            return error_response(408, f"the body did not arrive within {BODY_SECONDS:g} seconds", None, "timeout")
        except ClientDisconnect:
            return Response(status_code=499)
        except BadRequest as error:
            return error_response(400, str(error), error.parameter, error.code)
        try:
            return await handle(self, request, body)
        except BadRequest as error:
            return error_response(400, str(error), error.parameter, error.code)

    return endpoint


async def read_body(request: Request) -> Any:
    """Return the request's body, parsed. Raises BadRequest if it is too long or not JSON.

    Long bodies are parsed one after the other, and whoever asks in between is answered: a megabyte of `{}` takes a tenth of a second.
    """
    parts, count = [], 0
    async for part in request.stream():
        count += len(part)
        if count > MAX_BODY:
            raise BadRequest(f"the body is longer than {MAX_BODY:,} bytes")
        parts.append(part)
    if count <= LONG_BODY:
        return _parsed(b"".join(parts))
    async with request.app.state.parsing:
        try:
            return _parsed(b"".join(parts))
        finally:
            await asyncio.sleep(0)


def _parsed(body: bytes) -> Any:
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise BadRequest(f"the body is not JSON: {error}") from None


def unauthorised(request: Request) -> Response | None:
    """Return a refusal for web pages of other sites, and for requests without the key that the environment sets; else None."""
    if is_foreign(request):
        return error_response(403, "requests from other websites are refused", None, "foreign_origin")
    wanted = os.environ.get(KEY_NAME)
    given = request.headers.get("authorization", "").removeprefix("Bearer ")
    if wanted and not secrets.compare_digest(given.encode(), wanted.encode()):
        return error_response(401, "the key is missing or wrong", None, "invalid_api_key")
    return None
