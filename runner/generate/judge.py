"""A second model scores what the first one wrote. Every verdict is kept: in verdicts.jsonl, and in the rows that pass."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple, Self

import orjson

from ...converters.reading.records import Drop, Row
from ...schemas.base.files import NewFile
from ...schemas.generate_sections import Generate, Judge
from ..providers.endpoints import Endpoint
from ..providers.prompts import Prompt, load_prompt, messages
from ..providers.request_log import RequestLog
from ..providers.requests import ProviderRequest, Reply, Request
from .assemble import signed
from .job import as_line, judging
from .usage import Account

_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
_SEEDS = 2**31


class Verdict(NamedTuple):
    """A judge's score and words; no score where the reply holds no number."""

    score: float | None
    reply: str


class Judging(NamedTuple):
    """The judge of a generate section; `lines` are the candidates, a line each."""

    generate: Generate
    prompt: Prompt
    lines: Path = Path()

    @classmethod
    def of(cls, generate: Generate) -> Self:
        """The judge, its prompt read."""
        assert generate.judge is not None
        return cls(generate, load_prompt(generate.judge.prompt))

    @property
    def judge(self) -> Judge:
        """The section of the recipe."""
        assert self.generate.judge is not None
        return self.generate.judge

    def decide(
        self, judges: Sequence[Endpoint], log: RequestLog, kept: NewFile, verdicts: NewFile, dropped: NewFile, account: Account
    ) -> dict[str, Any]:
        """Write the rows that pass, every verdict, and what is dropped for it; the judge's part of the manifest."""
        account.rows = 0
        counts: Counter[str] = Counter()
        for candidate in self.candidates():
            if candidate["text"] is None:
                _write(account, kept, candidate["rows"])
                continue
            facts = self.verdict(candidate, judges, log, counts)
            verdicts.write(as_line(facts))
            if facts["passed"]:
                found = {"judge": facts["judge"], "judge_score": facts["score"]}
                _write(account, kept, [signed(row, found) for row in candidate["rows"]])
                continue
            file, line = candidate["place"]
            reason = "no_verdict" if facts["score"] is None else "judged_out"
            account.ledger.kept -= 1
            account.ledger.drop(Drop(Row(None, file, line), reason, str(facts["verdict"])[:60], filtered=reason == "judged_out"))
            dropped.write(as_line({"file": file, "line": line, "reason": reason, "detail": facts["verdict"], "reply": candidate["text"]}))
        names = ("judged", "passed", "judged_out", "no_verdict", "prompt_tokens", "completion_tokens")
        return {"model": judges[0].name, **{name: counts[name] for name in names}}

    def candidates(self) -> Iterator[dict[str, Any]]:
        """What there is to judge."""
        with self.lines.open("rb") as stream:
            for line in stream:
                yield orjson.loads(line)

    def requests(self) -> Iterator[Request]:
        """A request for every verdict."""
        for candidate in self.candidates():
            if candidate["text"] is not None:
                yield self._request(candidate)

    def _request(self, candidate: dict[str, Any]) -> Request:
        row = candidate["rows"][0] if candidate["rows"] else {}
        places = {key: value for key, value in row.items() if isinstance(value, str | int | float)}
        places |= {"text": candidate["text"], "original": candidate["original"]}
        return Request(Row(None, *candidate["place"]), messages(self.prompt, places), 0, {})

    def asked(self, request: Request, attempt: int, endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ProviderRequest]:
        """The judge, asked again with another seed and some temperature when it gave no number."""
        sampling = judging(self.generate)._replace(temperature=0.7 if attempt else 0)
        seed = (self.generate.seed + attempt * 1_000_003) % _SEEDS
        return endpoints[0], ProviderRequest(endpoints[0].provider, endpoints[0].identity, request.messages, sampling, seed)

    def usable(self, request: Request, reply: Reply) -> bool:
        """Whether the reply holds a score."""
        return read_verdict(reply).score is not None

    def verdict(self, candidate: dict[str, Any], judges: Sequence[Endpoint], log: RequestLog, counts: Counter[str]) -> dict[str, Any]:
        """The first verdict with a score among the attempts, counted."""
        request, found = self._request(candidate), Verdict(None, "")
        for attempt in range(self.generate.limits.attempts):
            reply = log.reply(self.asked(request, attempt, judges)[1].key)
            if reply is None:
                break
            counts["prompt_tokens"] += reply.prompt_tokens
            counts["completion_tokens"] += reply.completion_tokens
            found = read_verdict(reply)
            if found.score is not None:
                break
        passed = found.score is not None and found.score >= self.judge.min_score
        counts["judged"] += 1
        counts["passed" if passed else "no_verdict" if found.score is None else "judged_out"] += 1
        return {"judge": judges[0].name, "score": found.score, "passed": passed, "verdict": found.reply, "text": candidate["text"]}


def read_verdict(reply: Reply) -> Verdict:
    """The first number of the reply."""
    number = _NUMBER.search(reply.text)
    return Verdict(float(number.group()) if number else None, reply.text.strip())


def _write(account: Account, kept: NewFile, rows: list[dict[str, Any]]) -> None:
    account.rows += len(rows)
    kept.write(b"".join(map(as_line, rows)))
