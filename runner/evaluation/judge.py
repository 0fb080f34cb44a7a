"""Let a model score the replies of both models, through any endpoint with the OpenAI protocol.

A judge's reply is stored in evaluating/judge.sqlite before it counts, so that interrupted judging resumes. The result contains the prompt
and the judge's name: numbers from other judges or prompts are not comparable.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import orjson

from ...converters.reading.records import Row
from ...schemas.base.counted import counted
from ...schemas.base.errors import UserError
from ...schemas.base.files import write_atomically
from ...schemas.generate_sections import Judge, Limits
from ..providers.asker import Asker
from ..providers.endpoints import Endpoint
from ..providers.judge import Scorer
from ..providers.request_log import open_log
from ..providers.requests import ProviderRequest, Reply, Request
from ..runtime.console import Display
from ..runtime.metrics_file import JudgeFacts, SingleJudge
from ..runtime.progress import read_lines
from ..runtime.run_files import EVALUATING, PREDICTIONS, ROWS
from ..runtime.run_folder import RunFolder

JUDGEMENTS = f"{EVALUATING}/judgements.jsonl"
MODELS = ("base", "tuned")


def judge_all(run: RunFolder, judge: Judge, seed: int, display: Display) -> SingleJudge:
    """Write evaluating/judgements.jsonl, a line for each reply, as predictions.jsonl has them; return the judge's entry in metrics.json.

    Raises UserError if the judge does not answer, GateError at one of its limits, Interrupted.
    """
    scorer = Scorer.of(judge, Limits(), seed)
    name, lines = ask_judge(run, scorer, display, "evaluation.judge")
    write_atomically(run / JUDGEMENTS, b"".join(orjson.dumps(line) + b"\n" for line in lines))
    text = "\n\n".join(filter(None, (scorer.prompt.system, scorer.prompt.user)))
    return {**judge_facts(name, lines, display), "prompt": text, "scales": scorer.prompt.scales}


def ask_judge(run: RunFolder, scorer: Scorer, display: Display, key: str) -> tuple[str, list[dict[str, Any]]]:
    """Return the judge's name, and model, id, scores and reply for each reply of both models; no request is repeated.

    `key` is the judge's key in the recipe. Raises UserError if the judge answers nothing, GateError at one of its limits, Interrupted.
    """
    replies, provider = _Replies(run, scorer), scorer.judge.provider
    asker = Asker(scorer.limits, run.path.parents[1], display)
    with open_log(run / EVALUATING / "judge.sqlite", display) as log:
        asker.ask(replies, (provider,), log, "judging")
        endpoints = asker.known((provider,))
        lines, failure = [], ""
        for line, request in replies:
            judgement = scorer.judgement(request, endpoints, log)
            if judgement.reply is None:
                failure = log.last_failure(scorer.asked(request, 0, endpoints)[1].key)
            lines.append({"model": line["model"], "id": line["id"], "scores": judgement.scores, "reply": judgement.reply,
                          "redacted": judgement.redacted})  # fmt: skip
    if lines and all(line["reply"] is None for line in lines):
        raise UserError(f"{key}: {endpoints[0].name} answered no request: {failure}")
    return endpoints[0].name, lines


def judge_facts(name: str, lines: list[dict[str, Any]], display: Display) -> JudgeFacts:
    """Count a judge's answers, and report those that contained what looks like a secret."""
    failed = sum(line["reply"] is None for line in lines)
    judged = sum(line["scores"] is not None for line in lines)
    redacted = sum(line["redacted"] for line in lines)
    if redacted:
        display.say("judging", f"{counted(redacted, 'judgement', 'contain')} what looks like a secret: replaced with [redacted]", "warning")
    return {"model": name, "judged": judged, "unread": len(lines) - failed - judged, "failed": failed, "redacted": redacted}


class _Replies:
    """The replies of both models as requests to the judge."""

    def __init__(self, run: RunFolder, scorer: Scorer) -> None:
        self.scorer = scorer
        self.rows = {row["id"]: row for row in read_lines(run / EVALUATING / ROWS)}
        self.lines = [line for line in read_lines(run / EVALUATING / PREDICTIONS) if line["model"] in MODELS]

    def __iter__(self) -> Iterator[tuple[dict[str, Any], Request]]:
        for number, line in enumerate(self.lines, 1):
            turns = self.rows[line["id"]]["messages"][:-1]
            conversation = "\n".join(f"{message['role']}: {message['content']}" for message in turns)
            values = {"text": line["reply"], "original": conversation}
            yield line, self.scorer.request(Row(None, PREDICTIONS, number), values)

    def requests(self) -> Iterator[Request]:
        """Yield a request for each reply."""
        return (request for _, request in self)

    def asked(self, request: Request, attempt: int, endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ProviderRequest]:
        """Return the judge's endpoint and the request to it."""
        return self.scorer.asked(request, attempt, endpoints)

    def usable(self, request: Request, reply: Reply) -> bool:
        """Return whether the reply has every score."""
        return self.scorer.usable(request, reply)


def read_judgements(path: Path) -> dict[tuple[str, str], dict[str, float]]:
    """Return (model, id) -> scores, for judgements with scores."""
    return {(line["model"], line["id"]): line["scores"] for line in read_lines(path) if line["scores"]}
