"""Limits: what is in flight counts with the most that it can use."""

import asyncio

import pytest
from recipekit.runner.providers.endpoints import cost
from recipekit.runner.providers.limits import Budget, LimitReached
from recipekit.runner.providers.request_log import Used
from recipekit.runner.providers.requests import ProviderRequest, Reply
from recipekit.schemas.generate_sections import Limits, Price, Sampling

ASKED = ProviderRequest("p", "m", ({"role": "user", "content": "0123"},), Sampling(max_new_tokens=80), 1)  # at most 4 + 16 + 80 tokens
PRICE = Price(10, 20, "USD")


def test_a_million_tokens_cost_their_price_and_nothing_is_known_without_one() -> None:
    assert cost(PRICE, 1_000_000, 500_000) == 20
    assert cost(None, 1, 1) is None


@pytest.mark.parametrize(
    ("limits", "used", "name"),
    [
        (Limits(max_requests=3), Used(3), "max_requests"),
        (Limits(max_tokens=100), Used(1, 1), "max_tokens"),
        (Limits(max_cost=1), Used(1, 1, 0.999), "max_cost"),
    ],
)
def test_a_request_that_could_exceed_a_limit_is_not_sent(limits: Limits, used: Used, name: str) -> None:
    with pytest.raises(LimitReached, match=name):
        asyncio.run(Budget(limits, used).reserve(ASKED, PRICE))


def test_a_request_that_fits_exactly_is_sent() -> None:
    assert asyncio.run(Budget(Limits(max_tokens=100, max_requests=1), Used()).reserve(ASKED, None))[:2] == (1, 100)


def test_a_request_waits_for_cheaper_ones_in_flight() -> None:
    async def run() -> list[str]:
        budget, order = Budget(Limits(max_tokens=150), Used()), []
        first = await budget.reserve(ASKED, None)

        async def second() -> None:
            await budget.reserve(ASKED, None)
            order.append("second")

        waiting = asyncio.create_task(second())
        await asyncio.sleep(0)  # the second request begins to wait
        order.append("first ends")
        await budget.settle(first, Reply("x", "stop", 10, 10), None)
        await waiting
        assert budget.used[1] == 20
        return order

    assert asyncio.run(run()) == ["first ends", "second"]


def test_a_request_without_a_reply_uses_nothing_that_is_known() -> None:
    async def run() -> list[float]:
        budget = Budget(Limits(), Used())
        await budget.settle(await budget.reserve(ASKED, PRICE), None, None)
        return [*budget.used, *budget.in_flight]

    assert asyncio.run(run()) == [0] * 6
