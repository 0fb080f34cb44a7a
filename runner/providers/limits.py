"""Limits on requests, tokens and money: nothing is sent that could exceed one of them."""

import asyncio

from aiolimiter import AsyncLimiter
from tenacity import RetryCallState
from tenacity.wait import wait_exponential_jitter

from ...schemas.generate_sections import Limits, Price
from .client import CallFailed
from .endpoints import Endpoint, cost
from .request_log import Used
from .requests import ProviderRequest, Reply


class LimitReached(Exception):
    """One more request could exceed a limit, which the text names."""


class Budget:
    """What was used, and the most that requests in flight could use. A request waits while others may turn out cheaper."""

    def __init__(self, limits: Limits, used: Used) -> None:
        self.limits = (("max_requests", limits.max_requests), ("max_tokens", limits.max_tokens), ("max_cost", limits.max_cost))
        self.used: list[float] = [used.requests, used.tokens, used.cost]
        self.in_flight: list[float] = [0.0, 0.0, 0.0]
        self.changed = asyncio.Condition()

    async def reserve(self, asked: ProviderRequest, price: Price | None) -> tuple[float, ...]:
        """Reserve the most that the request can use. Raises LimitReached if that is too much and nothing is in flight."""
        most = (1.0, float(asked.most_tokens()), cost(price, asked.most_prompt_tokens(), asked.sampling.max_new_tokens) or 0.0)
        async with self.changed:
            while beyond := self._beyond(most):
                if not self.in_flight[0]:
                    name, limit, used = beyond
                    raise LimitReached(f"limits.{name}: {limit:,g}; {used:,.6g} are used, and the next request could exceed it")
                await self.changed.wait()
            self.in_flight = [sum(pair) for pair in zip(self.in_flight, most, strict=True)]
        return most

    async def settle(self, reserved: tuple[float, ...], reply: Reply | None, paid: float | None) -> None:
        """Record what the request used, and release the rest; a request without a reply counts as using nothing."""
        async with self.changed:
            self.in_flight = [before - now for before, now in zip(self.in_flight, reserved, strict=True)]
            if reply:
                actual = (1, reply.prompt_tokens + reply.completion_tokens, paid or 0.0)
                self.used = [sum(pair) for pair in zip(self.used, actual, strict=True)]
            self.changed.notify_all()

    def _beyond(self, more: tuple[float, ...]) -> tuple[str, float, float] | None:
        for (name, limit), used, in_flight, one in zip(self.limits, self.used, self.in_flight, more, strict=True):
            if limit is not None and used + in_flight + one > limit + 1e-9:
                return name, limit, used
        return None


LONGEST_PAUSE = 600.0
_BACK_OFF = wait_exponential_jitter(multiplier=0.5, max=60, jitter=0.5)


class Pace:
    """The rate limits of an endpoint; requests are spread over the minute."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.requests = AsyncLimiter(1, 60 / endpoint.requests_per_minute) if endpoint.requests_per_minute else None
        self.tokens = AsyncLimiter(endpoint.tokens_per_minute, 60) if endpoint.tokens_per_minute else None
        self.resume_at = 0.0

    async def turn(self, asked: ProviderRequest) -> None:
        """Wait until the request may be sent."""
        if self.requests:
            await self.requests.acquire()
        if self.tokens:
            await self.tokens.acquire(min(asked.most_tokens(), self.tokens.max_rate))
        while (left := self.resume_at - asyncio.get_running_loop().time()) > 0:
            await asyncio.sleep(left)

    def pause(self, seconds: float) -> None:
        """Delay all requests by the time that the provider asked for."""
        self.resume_at = max(self.resume_at, asyncio.get_running_loop().time() + min(seconds, LONGEST_PAUSE))


def wait(state: RetryCallState) -> float:
    """Return the seconds before the next try: what the provider asked for, or an increasing delay with jitter."""
    error = state.outcome.exception() if state.outcome else None
    asked_for = error.retry_after if isinstance(error, CallFailed) else None
    return min(asked_for, LONGEST_PAUSE) if asked_for is not None else _BACK_OFF(state)
