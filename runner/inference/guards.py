"""What is refused before a request is read: names that are not this machine's, web pages of other sites, bodies of doubtful length."""

import re

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Receive, Scope, Send

from .protocol import error_body

_HOST = re.compile(r"(\[[^\]]*\]|[^:]*)(?::\d*)?")


class HostGuard:
    """Refuses requests to other host names: a foreign web page cannot reach the server by a name that leads here. `*` allows any."""

    def __init__(self, app: ASGIApp, hosts: tuple[str, ...]) -> None:
        self.app, self.hosts = app, hosts

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] == "http" and (refused := self._refusal(Request(scope))):
            return await refused(scope, receive, send)
        await self.app(scope, receive, send)

    def _refusal(self, request: Request) -> Response | None:
        if "*" not in self.hosts and host_of(request.headers.get("host", "")) not in self.hosts:
            return error_response(400, "the Host header does not name this server", None, "unknown_host")
        if "transfer-encoding" in request.headers and "content-length" in request.headers:
            return error_response(400, "the length of the body is given twice", None, "ambiguous_length")
        return None


def host_of(header: str) -> str:
    """Return the name or address in a Host header, without the port: `[::1]` of `[::1]:8000`; "" if it is none."""
    found = _HOST.fullmatch(header)
    return found[1].lower() if found else ""


def is_foreign(request: Request) -> bool:
    """Return whether a page of another website makes the request."""
    origin = request.headers.get("origin")
    return origin is not None and origin.partition("://")[2] != request.headers.get("host")


def error_response(status: int, what: str, parameter: str | None, code: str | None) -> Response:
    """Return an error in OpenAI's format."""
    return JSONResponse(error_body(what, "invalid_request_error", parameter, code), status_code=status)
