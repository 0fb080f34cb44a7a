"""Rate limits and pauses."""

import asyncio

import pytest
from recipekit.runner.providers.client import CallFailed
from recipekit.runner.providers.endpoints import endpoint
from recipekit.runner.providers.limits import LONGEST_PAUSE, Pace, wait
from recipekit.runner.providers.requests import ProviderRequest
from recipekit.schemas.generate_sections import Provider, Sampling
from tenacity import Future, RetryCallState

ASKED = ProviderRequest("p", "m", ({"role": "user", "content": "0123"},), Sampling(max_new_tokens=80), 1)


class ImaginedTime(asyncio.SelectorEventLoop):
    """A loop that does not wait: its clock goes on by as long as it would have waited."""

    def __init__(self) -> None:
        super().__init__()
        self.now, select = 0.0, self._selector.select

        def skip(timeout: float | None = None) -> list:
            self.now += (timeout or 0.0) + 1e-6  # as real clocks do: what is left to wait may be too little to add
            return select(0)

        self._selector.select = skip

    def time(self) -> float:
        return self.now


def seconds(turns: int, pauses: tuple[float, ...] = (), **limits: int) -> float:
    """How long so many turns take that are asked for at once."""

    async def run() -> float:
        pace = Pace(endpoint(Provider("local", "m", **limits)))
        for pause in pauses:
            pace.pause(pause)
        await asyncio.gather(*(pace.turn(ASKED) for _ in range(turns)))
        return asyncio.get_running_loop().time()

    with asyncio.Runner(loop_factory=ImaginedTime) as runner:
        return runner.run(run())


def test_requests_are_spread_over_the_minute() -> None:
    assert seconds(5, requests_per_minute=600) == pytest.approx(0.4, abs=0.01)
    assert seconds(601, requests_per_minute=600) == pytest.approx(60, abs=0.1)
    assert seconds(50) < 0.01


def test_tokens_are_spread_over_the_minute_too() -> None:
    assert seconds(120, tokens_per_minute=6000) == pytest.approx(60 * (120 * ASKED.most_tokens() / 6000 - 1), rel=0.01)


def test_a_pause_stops_every_request() -> None:
    assert seconds(5, pauses=(30, 10)) == pytest.approx(30, abs=0.01)
    assert seconds(5, pauses=(1e9,)) == pytest.approx(LONGEST_PAUSE, abs=0.01)


def failed(attempt: int, **facts: object) -> RetryCallState:
    state = RetryCallState(None, None, (), {})  # pyright: ignore[reportArgumentType]
    state.attempt_number = attempt
    state.outcome = Future.construct(attempt, CallFailed("x", retryable=True, **facts), True)  # pyright: ignore[reportArgumentType]
    return state


def test_the_delay_follows_retry_after_or_grows() -> None:
    assert wait(failed(1, retry_after=7.0)) == 7
    assert wait(failed(1, retry_after=1e9)) == LONGEST_PAUSE
    waits = [wait(failed(attempt)) for attempt in (1, 3, 5, 20)]
    assert waits == sorted(waits)
    assert waits[-1] == pytest.approx(60, abs=1)
