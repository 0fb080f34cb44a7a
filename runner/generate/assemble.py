"""Make rows from the log's replies, in input order: the same log always gives the same rows."""

from collections.abc import Sequence
from typing import Any

from ...converters.reading.records import GENERATED_BY, Drop, Row
from ...schemas.base.files import NewFile
from ..providers.endpoints import Endpoint
from ..providers.request_log import RequestLog
from ..providers.requests import ProviderRequest, Request
from .filters import TextFilter
from .job import Job, as_line
from .outcomes import Passthrough, Rejected, Rows
from .usage import Usage


def make_rows(job: Job, endpoints: Sequence[Endpoint], log: RequestLog, kept: NewFile, dropped: NewFile, *, whole: bool) -> Usage:
    """Write one line per row to `kept`, or with `whole` one line per usable reply (for the judge), and one line per drop to `dropped`."""
    usage, passes = Usage(), TextFilter(job.generate.filters)
    for item in job.items():
        if isinstance(item, Drop):
            usage.ledger.drop(item)
            dropped.write(_drop_line(item.row, Rejected(item.reason, item.detail)))
        elif isinstance(item, Passthrough):
            usage.given += 1
            _keep(usage, kept, item.row, item.rows, None if whole else "", "")
        else:
            _make(job, item, endpoints, log, kept, dropped, whole, usage, passes)
    return usage


def _make(
    job: Job, request: Request, endpoints: Sequence[Endpoint], log: RequestLog, kept: NewFile, dropped: NewFile, whole: bool,
    usage: Usage, passes: TextFilter,
) -> None:  # fmt: skip
    endpoint, asked, outcome, reply = _answered(job, request, endpoints, log, usage)
    fault = passes.fault(outcome.text) if isinstance(outcome, Rows) else None
    ended = fault._replace(filtered=True) if fault else outcome
    usage.ended(endpoint, ended)
    if isinstance(ended, Rejected):
        usage.ledger.drop(Drop(request.row, ended.reason, ended.detail, filtered=ended.filtered))
        dropped.write(_drop_line(request.row, ended, endpoint.name, asked.key, reply))
        return
    assert isinstance(outcome, Rows)
    usage.fixed.update(outcome.fixed)
    facts = {"provider": endpoint.provider, "model": endpoint.model, "request": asked.key[:16]}
    rows = [signed(row, facts) for row in outcome.rows]
    _keep(usage, kept, request.row, rows, outcome.text if whole else "", str(request.about.get("text", "")))


def _keep(usage: Usage, kept: NewFile, place: Row, rows: list[dict[str, Any]], text: str | None, original: str) -> None:
    """Write the rows, or (with `whole`) what the judge needs to see. Given rows (text None) are not judged."""
    usage.ledger.kept += 1
    usage.rows += len(rows)
    if text == "":
        kept.write(b"".join(map(as_line, rows)))
    else:
        kept.write(as_line({"place": [place.file, place.line, place.item], "rows": rows, "text": text, "original": original}))


def _answered(
    job: Job, request: Request, endpoints: Sequence[Endpoint], log: RequestLog, usage: Usage
) -> tuple[Endpoint, ProviderRequest, Rows | Rejected, str]:
    """Return the first usable reply among the attempts, or the outcome of the last one."""
    ended: tuple[Endpoint, ProviderRequest, Rows | Rejected, str] | None = None
    for attempt in range(job.generate.limits.attempts):
        endpoint, asked = job.asked(request, attempt, endpoints)
        reply = log.reply(asked.key)
        if reply is None and ended:
            break
        usage.asked(endpoint, asked.key, attempt, log)
        outcome = job.outcome(request, reply) if reply else Rejected("failed", log.last_failure(asked.key))
        ended = endpoint, asked, outcome, reply.text if reply else ""
        if reply is None or isinstance(outcome, Rows) or outcome.filtered:
            break
    assert ended is not None, "at least one attempt"
    return ended


def signed(row: dict[str, Any], facts: dict[str, Any]) -> dict[str, Any]:
    """Return the row with further facts of how it was made; in `metadata` if the row has that."""
    if isinstance(row.get("metadata"), dict):
        return {**row, "metadata": signed(row["metadata"], facts)}
    made = row.get(GENERATED_BY)
    return {**row, GENERATED_BY: {**(made if isinstance(made, dict) else {}), **facts}}


def _drop_line(row: Row, why: Rejected, provider: str | None = None, request: str | None = None, reply: str | None = None) -> bytes:
    facts = {"file": row.file, "line": row.line, "item": row.item, "reason": why.reason, "detail": why.detail}
    return as_line(facts | ({"provider": provider, "request": request[:16], "reply": reply} if request else {}))
