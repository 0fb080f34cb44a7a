"""Generating from start to end: serve local models, fill the log, make rows of what it holds, judge them, write them with an account."""

import asyncio
import fcntl
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any, Protocol

import orjson

from ...converters.building.verify import own_files
from ...schemas import VERSION
from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.base.files import NewFile, new_folder, write_atomically
from ...schemas.generate_sections import Generate, Provider
from ..models.reference import resolve_target
from ..providers.dispatcher import Filling
from ..providers.endpoints import Endpoint, endpoint
from ..providers.local_server import served
from ..providers.request_log import RequestLog
from ..providers.requests import Reply, Request
from ..runtime.console import Display
from .assemble import make_rows
from .job import Job
from .judge import Judging

MANIFEST, ROWS, DROPPED, VERDICTS, CANDIDATES = "manifest.json", "rows.jsonl", "dropped.jsonl", "verdicts.jsonl", "candidates.jsonl"


def generate_rows(generate: Generate, out: Path, log_path: Path, runs: Path, display: Display, key: str) -> dict[str, Any]:
    """Write rows.jsonl, dropped.jsonl, verdicts.jsonl (with a judge) and manifest.json to `out`; return the manifest.

    `key` says what they were made of, and stands in the manifest. Replies that `log_path` holds are not asked for again. Raises
    GateError at a ceiling or beyond max_dropped, UserError when a provider does not answer, Interrupted; then `out` stays as it was and
    the log keeps every reply.
    """
    job = Job.of(generate)
    judge = Judging.of(generate) if generate.judge else None
    asker = Asker(generate, runs, display)
    with opened(log_path) as log, new_folder(out, MANIFEST, own_files(out, (ROWS, DROPPED, VERDICTS))) as folder:
        asker.ask(job, generate.providers, log, "generating")
        kept = NewFile(folder / (ROWS if judge is None else CANDIDATES))
        dropped = NewFile(folder / DROPPED)
        account = make_rows(job, asker.unheard(generate.providers), log, kept, dropped, whole=judge is not None)
        kept.close()
        manifest: dict[str, Any] = {"recipekit": VERSION, "key": key, "task": generate.task}
        files = [kept, dropped]
        if judge:
            judge = judge._replace(lines=kept.path)
            asker.ask(judge, (judge.judge.provider,), log, "judging")
            rows, verdicts = NewFile(folder / ROWS), NewFile(folder / VERDICTS)
            manifest["judge"] = judge.decide(asker.unheard((judge.judge.provider,)), log, rows, verdicts, dropped, account)
            kept.path.unlink()
            files = [rows, dropped, verdicts]
        for file in files[int(judge is None) :]:
            file.close()
        manifest |= account.checked(generate.max_dropped)
        manifest["files"] = {file.path.name: file.facts() for file in files}
        write_atomically(folder / MANIFEST, orjson.dumps(manifest, option=orjson.OPT_INDENT_2) + b"\n")
    return manifest


class Asking(Protocol):
    """What can be asked: a job, or a judge's."""

    def requests(self) -> Iterator[Request]: ...
    def asked(self, request: Request, attempt: int, endpoints: Sequence[Endpoint]) -> Any: ...
    def usable(self, request: Request, reply: Reply) -> bool: ...


class Asker:
    """Asks what a log does not know. Keys are read and local models loaded only when there is something to ask."""

    def __init__(self, generate: Generate, runs: Path, display: Display) -> None:
        self.generate, self.runs, self.display = generate, runs, display
        self.identities: dict[str, str] = {}

    def unheard(self, providers: Sequence[Provider]) -> list[Endpoint]:
        """The endpoints as the log knows them, without key and address: enough to look up what they said."""
        for provider in providers:
            if provider.provider == "local" and provider.model not in self.identities:
                self.identities[provider.model] = resolve_target(provider.model, self.runs).identity
        return [endpoint(p, identity=self.identities.get(p.model, "") if p.provider == "local" else "", with_key=False) for p in providers]

    def ask(self, job: Asking, providers: Sequence[Provider], log: RequestLog, what: str) -> None:
        """Ask until the log holds a usable reply to every request, or as many attempts as are allowed."""
        known = self.unheard(providers)
        total = sum(1 for _ in job.requests())
        if all(self._is_settled(job, request, known, log) for request in job.requests()):
            return
        with ExitStack() as stack:
            endpoints = [stack.enter_context(self._ready(provider)) for provider in providers]
            try:
                asyncio.run(self._fill(job, endpoints, log, total, what))
            finally:
                self.display.clear()

    def _is_settled(self, job: Asking, request: Request, endpoints: Sequence[Endpoint], log: RequestLog) -> bool:
        for attempt in range(self.generate.limits.attempts):
            reply = log.reply(job.asked(request, attempt, endpoints)[1].key)
            if reply is None or job.usable(request, reply):
                return reply is not None
        return True

    async def _fill(self, job: Asking, endpoints: Sequence[Endpoint], log: RequestLog, total: int, what: str) -> None:
        self.display.show(what, total, 0, "")
        filling = Filling(endpoints, self.generate.limits, log, lambda now: self.display.show(what, None, now.done, now.facts()))
        await filling.fill(job.requests(), lambda request, attempt: job.asked(request, attempt, endpoints), job.usable)

    @contextmanager
    def _ready(self, provider: Provider) -> Iterator[Endpoint]:
        """A provider that can be asked; a local model is served for as long as the block runs."""
        if provider.provider != "local":
            yield endpoint(provider)
            return
        self.display.say("model", f"serving {provider.model} on this machine")
        with served(provider.model, self.runs) as (base_url, identity):
            yield endpoint(provider, base_url, identity)


@contextmanager
def opened(path: Path) -> Iterator[RequestLog]:
    """The log, for this process alone. Raises UserError while another process generates."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("a") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            hint = "wait for it, or stop it"
            raise UserError(Problem(Location(str(path)), "is in use by another process that generates", hint, "locked")) from None
        log = RequestLog(path)
        try:
            yield log
        finally:
            log.close()


def account_lines(manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """The manifest for people, (heading, line): what was asked, what became of it, what it used."""
    dropped = ", ".join(f"{count:,} {reason.replace('_', ' ')}" for reason, count in manifest["dropped"].items()) or "none"
    mended = ", ".join(f"{count:,} {what.replace('_', ' ')}" for what, count in manifest["mended"].items())
    first = (f"{manifest['rows_in']:,} in ({manifest['requests']:,} requests), {manifest['rows_kept']:,} kept as "
             f"{manifest['rows']:,} rows; dropped: {dropped}" + (f"; mended: {mended}" if mended else ""))  # fmt: skip
    lines = [("generate", first)]
    for name, used in manifest["providers"].items():
        paid = "".join(f", {amount:,.4f} {currency}" for currency, amount in used.get("cost", {}).items())
        guessed = f"; {used['unmetered']:,} replies without a count taken for the longest" if used["unmetered"] else ""
        tokens = f"{used['prompt_tokens']:,} + {used['completion_tokens']:,} tokens"
        lines.append(("", f"{name}: {used['kept']:,} kept of {used['requests']:,}, {used['asked_again']:,} asked again, "
                     f"{used['retried']:,} retries, {tokens}{paid}{guessed}"))  # fmt: skip
    if judge := manifest.get("judge"):
        lines.append(("", f"judge {judge['model']}: {judge['passed']:,} of {judge['judged']:,} pass"))
    return lines
