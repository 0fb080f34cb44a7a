"""Limits of the Hugging Face Hub's replies. Import it only where huggingface_hub is used: it needs httpx.

What huggingface_hub keeps in memory (replies of /api/, parts of a file, errors and redirects) has a limit of bytes and of time, and must
not be compressed: a few bytes can become gigabytes. A whole file goes to the disk; it is limited by the length that it announces.
Headers have a limit of time, and some that huggingface_hub believes are refused.
"""

import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
from huggingface_hub import constants
from huggingface_hub.utils._http import parse_ratelimit_headers

from ...schemas.base.loopback import LOOPBACK
from .time_limit import with_timeout

MAX_BODY = 64 << 20  # in memory; the list of a repository's files has about 100 bytes per file
MAX_FILE = 1 << 30  # of a file without Content-Length
HEADER_SECONDS = 60.0  # for a request without a body, and the headers of its reply
SECONDS = 60.0  # for a body in memory
SLOWEST = 16 << 10  # bytes per second, on average, of what is sent, and of a part of a file: it may have hundreds of megabytes
MAX_WAIT = 600  # seconds until the next try
MAX_REDIRECTS = 20  # huggingface_hub follows relative redirects itself, without a limit
MAX_PAGES = 10_000  # of a list of files, each with at least 100
_IN_MEMORY = "recipekit_in_memory"  # a request's extensions go on to the request that a redirect leads to
_PART = re.compile(r"bytes=(\d+)-(\d+)")


class ReplyLimits(threading.local):
    """Hooks for one client: `request` asks for uncompressed bodies, `response` refuses a reply or limits its body."""

    redirects = pages = 0  # in a row, in this thread

    def request(self, request: httpx.Request) -> None:
        """Ask for an uncompressed body. Raises httpx.RemoteProtocolError for a redirect that leaves https, and for a token that everyone
        between here and the hub could read."""
        if constants.ENDPOINT.startswith("https:") and request.url.scheme != "https":
            raise _refusal(request, "an unencrypted reply")
        if "authorization" in request.headers and request.url.scheme != "https" and request.url.host not in LOOPBACK:
            what = f"the token is not sent unencrypted to {request.url.host}: set HF_ENDPOINT to an https address, or unset the token"
            raise httpx.RemoteProtocolError(what, request=request)
        request.headers["accept-encoding"] = "identity"
        request.extensions.setdefault(_IN_MEMORY, str(request.url).startswith(f"{constants.ENDPOINT.rstrip('/')}/api/"))

    def response(self, response: httpx.Response) -> None:
        """Limit the body. Raises httpx.RemoteProtocolError, which huggingface_hub does not retry."""
        self._count(response)
        _check_headers(response)
        limit, seconds = _limits(response)
        in_memory = seconds is not None
        announced = response.headers.get("content-length", "")
        if in_memory and (packed := response.headers.get("content-encoding", "identity").lower()) != "identity":
            raise _refusal(response.request, f"a body compressed with {packed[:20]}, which was not requested")
        if in_memory and response.request.method != "HEAD" and announced.isdecimal() and int(announced) > limit:
            raise _refusal(response.request, f"a body of {int(announced):,} bytes; the limit is {limit:,}")
        response.stream = LimitedBody(response.stream, response.request, limit, seconds)

    def _count(self, response: httpx.Response) -> None:
        """Count what huggingface_hub follows by itself, without end."""
        is_relative = response.has_redirect_location and response.headers["location"].startswith("/")
        self.redirects = self.redirects + 1 if is_relative else 0
        self.pages = self.pages + 1 if "next" in response.links else 0
        if self.redirects > MAX_REDIRECTS:
            raise _refusal(response.request, f"more than {MAX_REDIRECTS} redirects")
        if self.pages > MAX_PAGES:
            raise _refusal(response.request, f"more than {MAX_PAGES:,} pages")


def _check_headers(response: httpx.Response) -> None:
    """Remove or refuse what huggingface_hub believes: it sleeps as long as it is told, and writes to the file that an ETag names."""
    headers = response.headers
    headers["content-type"] = headers.get("content-type", "").partition(";")[0]  # some of Python's charsets unpack, some take minutes
    if response.status_code == 429 and (told := parse_ratelimit_headers(headers)) and told.reset_in_seconds > MAX_WAIT:
        raise _refusal(response.request, f"to wait for {told.reset_in_seconds:,} seconds")
    if any("/" in headers.get(name, "").removeprefix("W/") for name in ("etag", "x-linked-etag")) and response.request.method == "HEAD":
        raise _refusal(response.request, "an ETag with a slash")


def _limits(response: httpx.Response) -> tuple[int, float | None]:
    """Return how many bytes the body may have, and how many seconds it may take; None if it is not kept in memory."""
    announced = response.headers.get("content-length", "")
    if part := _PART.fullmatch(response.request.headers.get("range", "")):
        asked = int(part[2]) - int(part[1]) + 1
        return max(asked, MAX_BODY), SECONDS + asked / SLOWEST
    if response.request.extensions[_IN_MEMORY] or not response.is_success:
        return MAX_BODY, SECONDS
    if response.headers.get("content-encoding", "identity").lower() != "identity":
        return MAX_BODY, None
    return (int(announced) if announced.isdecimal() else MAX_FILE), None


class LimitedBody(httpx.SyncByteStream):
    """A body that raises an error beyond a number of bytes, or of seconds."""

    def __init__(self, stream: Any, request: httpx.Request, limit: int, seconds: float | None) -> None:
        self.stream, self.request, self.limit, self.seconds = stream, request, limit, seconds

    def __iter__(self) -> Iterator[bytes]:
        count, begun = 0, time.monotonic()
        for part in self.stream:
            count += len(part)
            if count > self.limit:
                raise _refusal(self.request, f"a body of more than {self.limit:,} bytes")
            if self.seconds is not None and time.monotonic() - begun > self.seconds:
                raise _refusal(self.request, f"a body that takes more than {self.seconds:g} seconds")
            yield part

    def close(self) -> None:
        """Close the connection without reading the rest."""
        self.stream.close()


class TimedHeaders(httpx.BaseTransport):
    """A transport with a limit for a request and the headers of its reply together; httpx limits only the silence between two parts."""

    def __init__(self, inner: httpx.BaseTransport) -> None:
        self.inner = inner

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        """Send the request. Raises httpx.RemoteProtocolError after the limit."""
        seconds = sending_seconds(request)
        try:
            return with_timeout(seconds, lambda: self.inner.handle_request(request))
        except TimeoutError:
            raise _refusal(request, f"headers that take more than {seconds:g} seconds") from None

    def close(self) -> None:
        """Close every connection."""
        self.inner.close()


def sending_seconds(request: httpx.Request) -> float | None:
    """Return how long it may take to send the request and to read the headers of its reply; None for a body of unknown length."""
    if "transfer-encoding" in request.headers:
        return None
    return HEADER_SECONDS + int(request.headers.get("content-length", 0)) / SLOWEST


def _refusal(request: httpx.Request, what: str) -> httpx.RemoteProtocolError:
    return httpx.RemoteProtocolError(f"refused {what} from {request.url.host}", request=request)
