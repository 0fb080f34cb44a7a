"""Ask for what a log lacks: keys are read, local models served and requests sent only if there is something to ask."""

import asyncio
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Protocol

from ...schemas.generate_sections import Limits, Provider
from ..models.reference import require_weights_of, resolve_target
from ..runtime.console import Display
from .classifier import classify
from .endpoints import LOCAL, Endpoint, endpoint, require_keys
from .local_server import served
from .request_log import RequestLog
from .requests import ProviderRequest, Reply, Request


class Questions(Protocol):
    """What is asked, which model is asked, and which replies are usable."""

    def requests(self) -> Iterator[Request]: ...
    def asked(self, request: Request, attempt: int, endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ProviderRequest]: ...
    def usable(self, request: Request, reply: Reply) -> bool: ...


class Asker:
    """Fills a log with replies, within the limits."""

    def __init__(self, limits: Limits, runs: Path, display: Display) -> None:
        self.limits, self.runs, self.display = limits, runs, display
        self.identities: dict[str, str] = {}

    def known(self, providers: Sequence[Provider]) -> list[Endpoint]:
        """Return the endpoints as the log knows them, without key and address: enough to look up their replies."""
        for provider in providers:
            if provider.provider in LOCAL and provider.model not in self.identities:
                self.identities[provider.model] = resolve_target(provider.model, self.runs).identity
        return [endpoint(p, identity=self.identities.get(p.model, "") if p.provider in LOCAL else "", with_key=False) for p in providers]

    def ask(self, questions: Questions, providers: Sequence[Provider], log: RequestLog, what: str, later: Sequence[Provider] = ()) -> None:
        """Ask until the log has a usable reply to every request, or the attempts are used up.

        `later` are providers that other questions will need: their keys are required before anything is sent. Raises GateError at a limit,
        UserError if a key is missing or a provider does not answer, and Interrupted.
        """
        known = self.known(providers)
        total = sum(1 for _ in questions.requests())
        if all(self._is_settled(questions, request, known, log) for request in questions.requests()):
            return
        require_keys((*providers, *later))
        for provider in (one for one in (*providers, *later) if one.provider in LOCAL):
            require_weights_of(resolve_target(provider.model, self.runs))
        if providers[0].provider == "classifier":
            texts = (questions.asked(request, 0, known)[1] for request in questions.requests())
            classify((asked for asked in texts if log.reply(asked.key) is None), providers[0].model, self.runs, log,
                     lambda done: self.display.show(what, total, done, ""))  # fmt: skip
            self.display.clear()
            return
        with ExitStack() as stack:
            endpoints = [stack.enter_context(self._ready(provider)) for provider in providers]
            try:
                asyncio.run(self._fill(questions, endpoints, log, total, what))
            finally:
                self.display.clear()

    def _is_settled(self, questions: Questions, request: Request, endpoints: Sequence[Endpoint], log: RequestLog) -> bool:
        for attempt in range(self.limits.attempts):
            reply = log.reply(questions.asked(request, attempt, endpoints)[1].key)
            if reply is None or questions.usable(request, reply):
                return reply is not None
        return True

    async def _fill(self, questions: Questions, endpoints: Sequence[Endpoint], log: RequestLog, total: int, what: str) -> None:
        from .dispatcher import Dispatcher  # loads openai, which reading the log does not need

        self.display.show(what, total, 0, "")
        dispatcher = Dispatcher(endpoints, self.limits, log, lambda now: self.display.show(what, None, now.done, now.summary()))
        await dispatcher.fill(questions.requests(), lambda request, attempt: questions.asked(request, attempt, endpoints), questions.usable)

    @contextmanager
    def _ready(self, provider: Provider) -> Iterator[Endpoint]:
        """Yield an endpoint that can be asked; a local model is served while the block runs."""
        if provider.provider != "local":
            yield endpoint(provider)
            return
        self.display.say("model", f"serving {provider.model} on this machine")
        with served(provider.model, self.runs) as (base_url, identity):
            yield endpoint(provider, base_url, identity)
