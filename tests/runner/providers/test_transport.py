"""Where a connection may lead (F40): names, decimal and mapped addresses, addresses that change."""

import asyncio

import httpx2
import pytest
from recipekit.runner.providers.transport import Refused, http_client, may_connect

from ...support.llm_server import reply, serving

PUBLIC = [("api.example.org", "93.184.216.34"), ("api.example.org", "2606:4700::1111")]
LOOPBACK = [("localhost", "127.0.0.1"), ("127.0.0.1", "127.0.0.1"), ("::1", "::1"), ("localhost", "::1")]
PRIVATE = [
    ("gpu", "10.1.2.3"),
    ("gpu", "192.168.0.9"),
    ("gpu", "172.16.0.1"),
    ("gpu", "fd00::1"),
    ("gpu", "::ffff:10.1.2.3"),
    ("gpu", "100.64.0.1"),
]
NEVER = [
    ("metadata", "169.254.169.254"), ("metadata", "::ffff:169.254.169.254"), ("metadata", "fe80::1%eth0"), ("any", "0.0.0.0"), ("any", "::"),
    ("many", "224.0.0.1"), ("rebound.example.org", "127.0.0.1"), ("rebound.example.org", "::1"), ("2130706433", "127.0.0.1"),
    ("rebound.example.org", "::ffff:127.0.0.1"), ("localhost.example.org", "127.0.0.1"),
]  # fmt: skip


@pytest.mark.parametrize(("host", "address"), PUBLIC + LOOPBACK)
def test_public_addresses_and_loopback_by_its_own_name_may_be_connected_to(host: str, address: str) -> None:
    assert may_connect(host, address, False)


@pytest.mark.parametrize(("host", "address"), PRIVATE)
def test_a_private_network_only_where_the_recipe_allows_it(host: str, address: str) -> None:
    assert not may_connect(host, address, False)
    assert may_connect(host, address, True)


@pytest.mark.parametrize(("host", "address"), NEVER)
def test_some_addresses_are_never_connected_to(host: str, address: str) -> None:
    assert not may_connect(host, address, False)
    assert not may_connect(host, address, True)


def fetched(url: str, private: bool = False) -> httpx2.Response:
    async def run() -> httpx2.Response:
        async with http_client(private, 2, 5) as client:
            return await client.post(url, json={"messages": [{"content": "x"}]})

    return asyncio.run(run())


@pytest.mark.parametrize("host", ["2130706433", "0x7f000001", "127.1", "[::ffff:127.0.0.1]", "0.0.0.0"])
def test_loopback_in_disguise_is_refused_at_connect(host: str) -> None:
    with serving(reply()) as server, pytest.raises(Refused) as refused:
        fetched(f"http://{host}:{server.port}/v1")
    assert refused.value.fatal
    assert server.asked == []


def test_loopback_by_its_name_is_reached() -> None:
    with serving(reply()) as server:
        assert fetched(server.url).status_code == 200
        assert fetched(f"http://localhost:{server.port}/v1").status_code == 200


def test_a_redirect_within_the_host_is_followed() -> None:
    def behave(exchange):
        if exchange.path == "/v1":
            exchange.send("HTTP/1.1 307 X", b"", location="/v1/chat")
        else:
            reply()(exchange)

    with serving(behave) as server:
        assert fetched(server.url).status_code == 200
        assert len(server.asked) == 2


def test_environment_proxies_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(reply()) as proxy, serving(reply()) as server:
        monkeypatch.setenv("HTTP_PROXY", f"http://127.0.0.1:{proxy.port}")
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        assert fetched(server.url).status_code == 200
        assert (len(server.asked), proxy.asked) == (1, [])
