"""How fast one provider is asked: its rate limits, and the pause that it asks for."""

import asyncio
import time

from aiolimiter import AsyncLimiter
from tenacity import RetryCallState
from tenacity.wait import wait_exponential_jitter

from .client import CallFailed
from .provider_requests import Asked
from .providers import Endpoint

LONGEST_PAUSE = 600.0
_BACK_OFF = wait_exponential_jitter(multiplier=0.5, max=60, jitter=0.5)


class Pace:
    """The rate limits of an endpoint; the requests of a minute are spread over it."""

    def __init__(self, endpoint: Endpoint) -> None:
        self.requests = AsyncLimiter(1, 60 / endpoint.requests_per_minute) if endpoint.requests_per_minute else None
        self.tokens = AsyncLimiter(endpoint.tokens_per_minute, 60) if endpoint.tokens_per_minute else None
        self.resume_at = 0.0

    async def turn(self, asked: Asked) -> None:
        """Wait until the request may be sent."""
        if self.requests:
            await self.requests.acquire()
        if self.tokens:
            await self.tokens.acquire(min(asked.most_tokens(), self.tokens.max_rate))
        while (left := self.resume_at - time.monotonic()) > 0:
            await asyncio.sleep(left)

    def pause(self, seconds: float) -> None:
        """The provider asked for a pause: nobody asks it before."""
        self.resume_at = max(self.resume_at, time.monotonic() + min(seconds, LONGEST_PAUSE))


def wait(state: RetryCallState) -> float:
    """Seconds before the next try: what the provider asked for, else longer each time, with jitter."""
    error = state.outcome.exception() if state.outcome else None
    asked_for = error.retry_after if isinstance(error, CallFailed) else None
    return min(asked_for, LONGEST_PAUSE) if asked_for is not None else _BACK_OFF(state)
