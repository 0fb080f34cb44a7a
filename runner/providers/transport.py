"""The HTTP client for requests: it connects only where allowed, follows no redirect elsewhere, and limits the size of bodies.

A name is resolved once, and the connection goes to the address that was checked, so that DNS rebinding has no effect. Proxies from the
environment are not used: they would connect on our behalf.
"""

import ipaddress
import socket
from collections.abc import AsyncIterator
from typing import Any

import httpcore2
import httpx2

from ...schemas.base.loopback import LOOPBACK

MAX_BODY = 8 << 20


class Refused(httpx2.RequestError):
    """We refused to connect, to follow or to read. A retry would not help; with `fatal`, no other request would either."""

    def __init__(self, what: str, *, request: httpx2.Request | None = None, fatal: bool = False) -> None:
        super().__init__(what, request=request)
        self.fatal = fatal


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Connects to public addresses, to loopback if the recipe's address says so, and to a private network if the recipe allows it."""

    def __init__(self, private_network: bool) -> None:
        self.private_network = private_network
        self.inner: Any = httpcore2.AnyIOBackend()

    async def connect_tcp(self, host: str, port: int, *arguments: Any, **options: Any) -> httpcore2.AsyncNetworkStream:
        """Connect to the host's first address, if all of them are allowed."""
        import anyio

        try:
            found = await anyio.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        except OSError as error:
            raise httpcore2.ConnectError(f"{host} cannot be resolved: {error.strerror}") from None
        addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
        for address in addresses:
            if not may_connect(host, address, self.private_network):
                raise Refused(f"{host} is {address}, an address of this machine or a private network", fatal=True)
        return await self.inner.connect_tcp(addresses[0], port, *arguments, **options)

    async def sleep(self, seconds: float) -> None:
        """Wait between the pool's attempts to connect."""
        await self.inner.sleep(seconds)


def may_connect(host: str, address: str, private_network: bool) -> bool:
    """Return whether the recipe's host may be connected to at this IP address (as text)."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    ip = getattr(ip, "ipv4_mapped", None) or ip
    if ip.is_loopback:
        return host in LOOPBACK
    if ip.is_link_local or ip.is_multicast or ip.is_unspecified or ip.is_reserved:
        return False  # 169.254.169.254 serves a cloud machine's credentials
    return ip.is_global or private_network


class GuardedTransport(httpx2.AsyncBaseTransport):
    """httpx2's transport with our backend; bodies are limited to MAX_BODY bytes, and must not be compressed."""

    def __init__(self, private_network: bool, connections: int) -> None:
        self.inner = httpx2.AsyncHTTPTransport(trust_env=False)
        self.inner._pool = httpcore2.AsyncConnectionPool(
            ssl_context=httpx2.create_ssl_context(trust_env=False), max_connections=connections,
            max_keepalive_connections=connections, keepalive_expiry=30, network_backend=GuardedBackend(private_network),
        )  # fmt: skip

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        """Send; refuse redirects to other hosts, and bodies that are too long or compressed (a few bytes can become gigabytes)."""
        request.headers["accept-encoding"] = "identity"
        response = await self.inner.handle_async_request(request)
        refusal = _refusal(request, response)
        if refusal:
            await response.aclose()
            raise Refused(refusal, request=request, fatal=response.is_redirect)
        kind = response.headers.get("content-type", "")
        response.headers["content-type"] = kind.partition(";")[0]  # JSON is UTF-8; of Python's charsets, some unpack and some take minutes
        response.stream = BoundedStream(response.stream, request)
        return response

    async def aclose(self) -> None:
        """Close every connection."""
        await self.inner.aclose()


def _refusal(request: httpx2.Request, response: httpx2.Response) -> str:
    if target := response.headers.get("location") if 300 <= response.status_code < 400 else None:
        try:
            other = request.url.join(target)
        except httpx2.InvalidURL as error:
            return f"{request.url.host} redirects to an invalid address: {error}"
        if (other.scheme, other.host, other.port) != (request.url.scheme, request.url.host, request.url.port):
            return f"{request.url.host} redirects to {other.host}, another host"
    if (packed := response.headers.get("content-encoding", "identity").lower()) != "identity":
        return f"the body is compressed with {packed}, which was not requested"
    if int(response.headers.get("content-length", 0) or 0) > MAX_BODY:
        return f"a body of {response.headers['content-length']} bytes; the limit is {MAX_BODY:,}"
    return ""


class BoundedStream(httpx2.AsyncByteStream):
    """A body that raises an error beyond MAX_BODY bytes."""

    def __init__(self, stream: Any, request: httpx2.Request) -> None:
        self.stream = stream
        self.request = request

    async def __aiter__(self) -> AsyncIterator[bytes]:
        count = 0
        async for part in self.stream:
            count += len(part)
            if count > MAX_BODY:
                raise Refused(f"the body is longer than the limit of {MAX_BODY:,} bytes", request=self.request)
            yield part

    async def aclose(self) -> None:
        """Close the connection without reading the rest."""
        await self.stream.aclose()


def http_client(private_network: bool, connections: int, timeout: float) -> httpx2.AsyncClient:
    """Return a client for one provider. `timeout` limits each wait; the caller limits the whole reply."""
    transport = GuardedTransport(private_network, connections)
    return httpx2.AsyncClient(transport=transport, timeout=httpx2.Timeout(timeout, connect=min(timeout, 30)), follow_redirects=True,
                              max_redirects=3, trust_env=False)  # fmt: skip
