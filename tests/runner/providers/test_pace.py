"""Rate limits and pauses."""

import asyncio
import time

import pytest
from recipekit.runner.providers.client import CallFailed
from recipekit.runner.providers.endpoints import endpoint
from recipekit.runner.providers.limits import LONGEST_PAUSE, Pace, wait
from recipekit.runner.providers.requests import ProviderRequest
from recipekit.schemas.generate_sections import Provider, Sampling
from tenacity import Future, RetryCallState

ASKED = ProviderRequest("p", "m", ({"role": "user", "content": "0123"},), Sampling(max_new_tokens=80), 1)


def seconds(turns: int, **limits: int) -> float:
    async def run() -> float:
        pace = Pace(endpoint(Provider("local", "m", **limits)))
        started = time.monotonic()
        for _ in range(turns):
            await pace.turn(ASKED)
        return time.monotonic() - started

    return asyncio.run(run())


def test_requests_are_spread_over_the_minute() -> None:
    assert 0.35 < seconds(5, requests_per_minute=600) < 0.8
    assert seconds(50) < 0.1


def test_tokens_are_spread_over_the_minute_too() -> None:
    assert 0.4 < seconds(61, tokens_per_minute=6000) < 1.6


def test_a_pause_holds_everybody() -> None:
    async def run() -> float:
        pace = Pace(endpoint(Provider("local", "m")))
        pace.pause(0.3)
        pace.pause(0.1)
        started = time.monotonic()
        await asyncio.gather(*(pace.turn(ASKED) for _ in range(5)))
        return time.monotonic() - started

    assert 0.25 < asyncio.run(run()) < 0.6


def failed(attempt: int, **facts: object) -> RetryCallState:
    state = RetryCallState(None, None, (), {})  # pyright: ignore[reportArgumentType]
    state.attempt_number = attempt
    state.outcome = Future.construct(attempt, CallFailed("x", again=True, **facts), True)  # pyright: ignore[reportArgumentType]
    return state


def test_the_wait_is_what_was_asked_for_else_longer_each_time() -> None:
    assert wait(failed(1, retry_after=7.0)) == 7
    assert wait(failed(1, retry_after=1e9)) == LONGEST_PAUSE
    waits = [wait(failed(attempt)) for attempt in (1, 3, 5, 20)]
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(60, abs=1)
