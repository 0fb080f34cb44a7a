"""Limits of the Hugging Face Hub's replies. Import it only where huggingface_hub is used: it needs httpx.

What huggingface_hub keeps in memory (replies of /api/, parts of a file, errors and redirects) has a limit of bytes and of time, and must
not be compressed: a few bytes can become gigabytes. A whole file goes to the disk; it is limited by the length that it announces.
"""

import re
import threading
import time
from collections.abc import Iterator
from typing import Any

import httpx
from huggingface_hub import constants

MAX_BODY = 64 << 20  # in memory; the list of a repository's files has about 100 bytes per file
MAX_FILE = 1 << 30  # of a file without Content-Length
SECONDS = 60.0  # for a body in memory
SLOWEST = 16 << 10  # bytes per second, on average, of a part of a file: it may have hundreds of megabytes
MAX_REDIRECTS = 20  # huggingface_hub follows relative redirects itself, without a limit
_IN_MEMORY = "recipekit_in_memory"  # a request's extensions go on to the request that a redirect leads to
_PART = re.compile(r"bytes=(\d+)-(\d+)")


class ReplyLimits(threading.local):
    """Hooks for one client: `request` asks for uncompressed bodies, `response` refuses a reply or limits its body."""

    redirects = 0  # relative ones in a row, in this thread

    def request(self, request: httpx.Request) -> None:
        """Ask for an uncompressed body."""
        request.headers["accept-encoding"] = "identity"
        request.extensions.setdefault(_IN_MEMORY, str(request.url).startswith(f"{constants.ENDPOINT.rstrip('/')}/api/"))

    def response(self, response: httpx.Response) -> None:
        """Limit the body. Raises httpx.RemoteProtocolError, which huggingface_hub does not retry."""
        is_relative = response.has_redirect_location and response.headers["location"].startswith("/")
        self.redirects = self.redirects + 1 if is_relative else 0
        if self.redirects > MAX_REDIRECTS:
            raise _refusal(response.request, f"more than {MAX_REDIRECTS} redirects")
        limit, seconds = _limits(response)
        in_memory = seconds is not None
        announced = response.headers.get("content-length", "")
        if in_memory and (packed := response.headers.get("content-encoding", "identity").lower()) != "identity":
            raise _refusal(response.request, f"a body compressed with {packed[:20]}, which was not requested")
        if in_memory and response.request.method != "HEAD" and announced.isdecimal() and int(announced) > limit:
            raise _refusal(response.request, f"a body of {int(announced):,} bytes; the limit is {limit:,}")
        response.stream = LimitedBody(response.stream, response.request, limit, seconds)


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


def _refusal(request: httpx.Request, what: str) -> httpx.RemoteProtocolError:
    return httpx.RemoteProtocolError(f"refused {what} from {request.url.host}", request=request)
