"""Let a second model score the rows. Every judgement is kept, in judgements.jsonl and in the rows that pass."""

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson

from ...converters.reading.records import Drop, Row
from ...schemas.base.files import NewFile
from ...schemas.generate_sections import Generate, Provider
from ..providers.endpoints import Endpoint
from ..providers.judge import Scorer
from ..providers.request_log import RequestLog
from ..providers.requests import ProviderRequest, Reply, Request
from .assemble import signed
from .job import as_line
from .usage import Usage


class RowJudge(NamedTuple):
    """The judge of a generate section; `lines` is the file of candidates, one per line."""

    scorer: Scorer
    min_score: float | None
    lines: Path = Path()

    @classmethod
    def of(cls, generate: Generate) -> Self:
        """Return the judge with its prompt read."""
        assert generate.judge is not None
        return cls(Scorer.of(generate.judge, generate.limits, generate.seed), generate.filters.min_score)

    @property
    def providers(self) -> tuple[Provider, ...]:
        """Return the judge's provider."""
        return (self.scorer.judge.provider,)

    def requests(self) -> Iterator[Request]:
        """Yield a request for every candidate that a model wrote."""
        return (self._request(candidate) for candidate in self._candidates() if candidate["text"] is not None)

    def asked(self, request: Request, attempt: int, endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ProviderRequest]:
        """Return the judge's endpoint and the request to it."""
        return self.scorer.asked(request, attempt, endpoints)

    def usable(self, request: Request, reply: Reply) -> bool:
        """Return whether the reply has scores."""
        return self.scorer.usable(request, reply)

    def decide(
        self, judges: Sequence[Endpoint], log: RequestLog, kept: NewFile, judgements: NewFile, dropped: NewFile, usage: Usage
    ) -> dict[str, Any]:
        """Write the rows that pass, every judgement, and the drops; return the judge's entry in the manifest."""
        usage.rows = 0
        counts: Counter[str] = Counter()
        for candidate in self._candidates():
            if candidate["text"] is None:
                _write(usage, kept, candidate["rows"])
                continue
            judgement = self.scorer.judgement(self._request(candidate), judges, log)
            total = sum(judgement.scores.values()) if judgement.scores else None
            passed = total is not None and (self.min_score is None or total >= self.min_score)
            counts.update(judged=1, prompt_tokens=judgement.prompt_tokens, completion_tokens=judgement.completion_tokens,
                          redacted=judgement.redacted)  # fmt: skip
            counts["passed" if passed else "unscored" if total is None else "low_score"] += 1
            judgements.write(as_line({"judge": judges[0].name, "scores": judgement.scores, "passed": passed, "reply": judgement.reply,
                                      "text": candidate["text"]}))  # fmt: skip
            if passed:
                facts = {"judge": judges[0].name, "judge_score": total}
                _write(usage, kept, [signed(row, facts) for row in candidate["rows"]])
                continue
            row = Row(None, *candidate["place"])
            reason = "unscored" if total is None else "low_score"
            usage.ledger.kept -= 1
            usage.ledger.drop(Drop(row, reason, (judgement.reply or "")[:60], filtered=reason == "low_score"))
            place = {"file": row.file, "line": row.line, "item": row.item}
            dropped.write(as_line({**place, "reason": reason, "detail": judgement.reply, "reply": candidate["text"]}))
        names = ("judged", "passed", "low_score", "unscored", "redacted", "prompt_tokens", "completion_tokens")
        return {"model": judges[0].name, **{name: counts[name] for name in names}}

    def _candidates(self) -> Iterator[dict[str, Any]]:
        with self.lines.open("rb") as stream:
            for line in stream:
                yield orjson.loads(line)

    def _request(self, candidate: dict[str, Any]) -> Request:
        row = candidate["rows"][0] if candidate["rows"] else {}
        values = {key: value for key, value in row.items() if isinstance(value, str | int | float)}
        return self.scorer.request(Row(None, *candidate["place"]), values | {"text": candidate["text"], "original": candidate["original"]})


def _write(usage: Usage, kept: NewFile, rows: list[dict[str, Any]]) -> None:
    usage.rows += len(rows)
    kept.write(b"".join(map(as_line, rows)))
