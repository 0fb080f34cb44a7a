"""Send every request without a usable reply in the log, several at once, until all are answered or something stops it."""

import asyncio
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress

from tenacity import AsyncRetrying, RetryCallState, retry_if_exception, stop_after_attempt

from ...schemas.base.errors import GateError, Interrupted, Problem, UserError
from ...schemas.generate_sections import Limits
from .client import CallFailed, Client
from .endpoints import Endpoint, cost
from .limits import Budget, LimitReached, Pace, wait
from .request_log import Entry, RequestLog
from .requests import ProviderRequest, Reply, Request

MAX_FAILURES = 10  # consecutive failed requests to one provider, each after all its retries

AskedOf = Callable[[Request, int], tuple[Endpoint, ProviderRequest]]
Usable = Callable[[Request, Reply], bool]


class Dispatcher:
    """Sends requests and fills the log. `stopped` is why it ended early; replies in flight are still awaited."""

    def __init__(self, endpoints: Sequence[Endpoint], limits: Limits, log: RequestLog, report: Callable[["Dispatcher"], None]) -> None:
        self.limits, self.log, self.report = limits, log, report
        self.clients = {e: Client.open(e, limits.concurrency, limits.timeout) for e in endpoints}
        self.paces = {e: Pace(e) for e in endpoints}
        self.budget = Budget(limits, log.used())
        self.commits = GroupCommit(log)
        self.in_flight: dict[str, asyncio.Event] = {}
        self.failing: Counter[Endpoint] = Counter()
        self.stopped: UserError | None = None
        self.started = time.monotonic()
        self.done = self.answered = self.tokens = 0

    def summary(self) -> str:
        """Return rate and cost for the progress bar; the cost, if prices are given, is of everything in the log."""
        seconds = max(time.monotonic() - self.started, 1e-3)
        shown = [f"{self.answered / seconds:.1f} requests/s", f"{self.tokens / seconds:,.0f} tokens/s"]
        currencies = {endpoint.price.currency for endpoint in self.clients if endpoint.price}
        return "  ".join([*shown, *(f"{self.budget.used[2]:.4f} {currency}" for currency in sorted(currencies) if len(currencies) == 1)])

    async def fill(self, requests: Iterable[Request], asked_of: AskedOf, usable: Usable) -> None:
        """Send the requests. Raises what stopped it: GateError at a limit, UserError for a provider that does not answer or a log that
        cannot be written, and Interrupted."""
        waiting = iter(requests)

        async def work() -> None:
            for request in waiting:  # a shared iterator: at most `concurrency` requests are in memory
                if self.stopped:
                    return
                try:
                    await self._settle(request, asked_of, usable)
                except UserError as error:  # the log cannot be written: paid replies would be lost
                    self._stop(error)
                if not self.stopped:
                    self.done += 1
                    self.report(self)

        try:
            with self._signals():
                async with asyncio.TaskGroup() as group:
                    for _ in range(self.limits.concurrency):
                        group.create_task(work())
        except asyncio.CancelledError:  # a second Ctrl-C
            if not self.stopped:
                raise
        finally:
            for client in self.clients.values():
                await client.close()
        if self.stopped:
            raise self.stopped

    async def _settle(self, request: Request, asked_of: AskedOf, usable: Usable) -> None:
        """Ask until the reply is usable, within the limits. Requests in the log are not repeated."""
        for attempt in range(self.limits.attempts):
            endpoint, asked = asked_of(request, attempt)
            while other := self.in_flight.get(asked.key):  # two rows may make the same request
                await other.wait()
            reply = self.log.reply(asked.key)
            if reply is None:
                self.in_flight[asked.key] = asyncio.Event()
                try:
                    reply = await self._answer(endpoint, asked)
                finally:
                    self.in_flight.pop(asked.key).set()
            if reply is None or usable(request, reply):
                return

    async def _answer(self, endpoint: Endpoint, asked: ProviderRequest) -> Reply | None:
        """Return the reply once it is on disk; None if every try failed, or if asking has stopped."""
        try:
            reserved = await self.budget.reserve(asked, endpoint.price)
        except LimitReached as reached:
            hint = "raise the limit and start again: answered requests are not repeated"
            self._stop(GateError(Problem("", str(reached), hint, "limit-reached")))
            return None
        reply, paid = None, None
        try:
            entry = None if self.stopped else await self._tried(endpoint, asked)
            if entry:
                reply, paid = entry.reply, entry.cost
                await self.commits.keep(entry)
                self.failing[endpoint] = 0
                self.answered += 1
                self.tokens += reply.prompt_tokens + reply.completion_tokens
        finally:
            await self.budget.settle(reserved, reply, paid)
        return reply

    async def _tried(self, endpoint: Endpoint, asked: ProviderRequest) -> Entry | None:
        enough = stop_after_attempt(self.limits.retries + 1)

        def stop(state: RetryCallState) -> bool:
            return self.stopped is not None or enough(state)

        retrying = AsyncRetrying(
            stop=stop, wait=wait, retry=retry_if_exception(_is_retryable), before_sleep=self._pausing(endpoint), reraise=True
        )
        tries, started = 0, time.monotonic()

        async def once() -> Reply:
            nonlocal tries
            await self.paces[endpoint].turn(asked)
            tries += 1
            try:
                return await self.clients[endpoint].ask(asked)
            except CallFailed as error:
                self.log.fail(asked, str(error), error.retryable)
                if error.refused:
                    return Reply("", "content_filter", 0, 0)
                raise

        try:
            reply = await retrying(once)
        except CallFailed as error:
            self._failed(endpoint, error)
            return None
        paid = cost(endpoint.price, reply.prompt_tokens, reply.completion_tokens)
        currency = endpoint.price.currency if endpoint.price else None
        return Entry(asked, reply, paid, currency, tries, time.monotonic() - started)

    def _pausing(self, endpoint: Endpoint) -> Callable[[RetryCallState], None]:
        """Return the hook that makes all requests to a provider wait when one of them must."""

        def pause(state: RetryCallState) -> None:
            error = state.outcome.exception() if state.outcome else None
            if isinstance(error, CallFailed) and error.retry_after:
                self.paces[endpoint].pause(error.retry_after)

        return pause

    def _failed(self, endpoint: Endpoint, error: CallFailed) -> None:
        self.failing[endpoint] += 1
        if error.fatal or self.failing[endpoint] >= MAX_FAILURES:
            often = "" if error.fatal else f" ({MAX_FAILURES} requests in a row failed)"
            hint = "fix it and start again: answered requests are not repeated"
            self._stop(UserError(Problem(endpoint.name, f"{error}{often}", hint, "provider")))

    def _stop(self, why: UserError) -> None:
        self.stopped = self.stopped or why

    @contextmanager
    def _signals(self) -> Iterator[None]:
        """Let Ctrl-C, SIGTERM and SIGHUP wait for replies in flight, which are paid for; Ctrl-C after that does not wait."""
        loop, task = asyncio.get_running_loop(), asyncio.current_task()
        hint = "start it again: answered requests are not repeated"

        def interrupt(number: int) -> None:
            if self.stopped and task and number == signal.SIGINT:  # SIGTERM may come twice: to a process and to its group
                task.cancel()
            self._stop(Interrupted(Problem("", f"stopped by {signal.Signals(number).name}", hint, "interrupted")))

        wanted = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
        numbers = [number for number in wanted if signal.getsignal(number) != signal.SIG_IGN]  # keep nohup's setting
        with suppress(ValueError, RuntimeError):  # signal handlers work in the main thread only
            for number in numbers:
                loop.add_signal_handler(number, interrupt, number)
        try:
            yield
        finally:
            for number in numbers:
                loop.remove_signal_handler(number)


class GroupCommit:
    """Writes everything that arrived during the last write at once: a reply is on disk before it counts."""

    def __init__(self, log: RequestLog) -> None:
        self.log = log
        self.waiting: list[tuple[Entry, asyncio.Future[None]]] = []
        self.writer: asyncio.Task[None] | None = None

    async def keep(self, entry: Entry) -> None:
        """Return when the entry is on disk."""
        written: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.waiting.append((entry, written))
        if self.writer is None or self.writer.done():
            self.writer = asyncio.create_task(self._write())
        await asyncio.shield(written)

    async def _write(self) -> None:
        while self.waiting:
            batch, self.waiting = self.waiting, []
            error: BaseException | None = None
            try:
                await asyncio.to_thread(self.log.keep, [entry for entry, _ in batch])
            except BaseException as failed:
                error = failed
            for _, written in batch:
                if not written.cancelled():
                    written.set_exception(error) if error else written.set_result(None)


def _is_retryable(error: BaseException) -> bool:
    return isinstance(error, CallFailed) and error.retryable
