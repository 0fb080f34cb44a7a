"""Serve `recipe chat --web` with gradio on loopback, only for its own pages, which load nothing from other hosts."""

import re
from contextlib import suppress
from typing import Any

import gradio as gr
from fastapi import FastAPI
from gradio.themes import Default
from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ...schemas.base.loopback import LOOPBACK_HOSTS
from .guards import HostGuard, error_response, is_foreign
from .request_body import MAX_BODY
from .web_page import STYLE

POLICY = (
    "default-src 'self'; script-src 'self' 'unsafe-inline'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "object-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
# gradio's page always names a script of a content delivery network and hosts of web fonts.
_ELSEWHERE = re.compile(rb'<script[^>]*\bsrc="https?://[^>]*>\s*</script>|<link[^>]*\bhref="https?://[^>]*>')
# The button Send: white on this blue has a contrast of 6.7, on gradio's own orange of 2.8.
_SEND = tuple(f"button_primary_background_fill{state}{scheme}" for state in ("", "_hover") for scheme in ("", "_dark"))


def create_web_app(page: gr.Blocks) -> FastAPI:
    """Return the application that shows the page."""
    guards = [Middleware(HostGuard, hosts=LOOPBACK_HOSTS), Middleware(Guard)]
    app = FastAPI(docs_url=None, redoc_url=None, openapi_url=None, middleware=guards)
    fonts: dict[str, Any] = {"font": ["system-ui", "sans-serif"], "font_mono": ["ui-monospace", "monospace"]}
    theme = Default(primary_hue="blue", **fonts).set(**dict.fromkeys(_SEND, "*primary_700"))
    return gr.mount_gradio_app(app, page, path="/", footer_links=[], ssr_mode=False, theme=theme, css=STYLE, mcp_server=False)


class Guard:
    """Refuses requests from pages of other sites, files and long bodies, and keeps the page from contacting other hosts."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            return await self.app(scope, receive, send)
        if is_foreign(Request(scope)):
            return await error_response(403, "requests from other websites are refused", None, "foreign_origin")(scope, receive, send)
        if scope["path"].rstrip("/").endswith("/upload"):  # the pages take no files, and gradio keeps one of any size
            return await error_response(404, "no files are taken", None, "no_upload")(scope, receive, send)
        # Compressed content could not be searched.
        plain = {**scope, "headers": [(name, value) for name, value in scope["headers"] if name != b"accept-encoding"]}
        with suppress(ClientDisconnect, KeyError):  # answered by gradio: a request that was cut, or that names nothing of the page
            await self.app(plain, _Bounded(receive).receive, _Cleaned(send).send)


class _Bounded:
    """Forwards the parts of a body up to MAX_BODY; beyond, the client counts as gone."""

    def __init__(self, receive: Receive) -> None:
        self._receive, self.count = receive, 0

    async def receive(self) -> Message:
        """Return the next part."""
        message = await self._receive()
        self.count += len(message.get("body", b""))
        return message if self.count <= MAX_BODY else {"type": "http.disconnect"}


class _Cleaned:
    """Forwards messages with the policy in their headers, and removes references to other hosts from a page."""

    def __init__(self, send: Send) -> None:
        self._send = send
        self.start: Message | None = None
        self.page = b""

    async def send(self, message: Message) -> None:
        """Send a message; the parts of a page are collected first."""
        if message["type"] == "http.response.start":
            headers = MutableHeaders(raw=message["headers"])
            headers["content-security-policy"], headers["referrer-policy"] = POLICY, "no-referrer"
            if Headers(raw=message["headers"]).get("content-type", "").startswith("text/html"):
                self.start = message
                return
        elif self.start is not None and message["type"] == "http.response.body":
            self.page += message.get("body", b"")
            if message.get("more_body"):
                return
            body = _ELSEWHERE.sub(b"", self.page)
            MutableHeaders(raw=self.start["headers"])["content-length"] = str(len(body))
            await self._send(self.start)
            message = {**message, "body": body}
        await self._send(message)
