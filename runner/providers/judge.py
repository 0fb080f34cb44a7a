"""Score texts with a model. The prompt names the scales; the reply is a JSON object with every score, or a number for a single one."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple, Self

import orjson

from ...converters.reading.records import Row
from ...schemas.evaluation_sections import answer_of
from ...schemas.generate_sections import Judge, Limits, Sampling
from ...schemas.prompts import Prompt, load_prompt
from .endpoints import Endpoint
from .request_log import RequestLog
from .requests import ProviderRequest, Reply, Request, messages, seed_of

_OBJECT = re.compile(r"\{[^{}]*\}")
_NUMBER = re.compile(r"-?\d+(?:\.\d+)?")
# Numbers of the scale itself: "1 to 5", "out of 5", "/5", "满分5分"; and those of a list, "1. ...", "2. ...".
_SCALE = r"(?<![\d.]){0}\s*(?:[-–—~]|to|到|至)\s*{1}(?!\.?\d)|(?:\bof|/|满分)\s*{1}(?!\.?\d)"
_LIST = re.compile(r"^\s*1[.)]\s.*^\s*2[.)]\s", re.DOTALL | re.MULTILINE)
_ITEM = re.compile(r"^\s*\d+[.)]\s", re.MULTILINE)

Scores = dict[str, float]


class Judgement(NamedTuple):
    """A judge's scores and its reply. `scores` is None if the reply has none, `reply` if there is no reply. `redacted`: the reply contained
    what looks like a secret."""

    scores: Scores | None
    reply: str | None
    prompt_tokens: int = 0
    completion_tokens: int = 0
    redacted: bool = False


class Scorer(NamedTuple):
    """The judge of a recipe, ready to make requests and read replies."""

    judge: Judge
    prompt: Prompt
    limits: Limits
    seed: int

    @classmethod
    def of(cls, judge: Judge, limits: Limits, seed: int) -> Self:
        """Return the judge with its prompt; `limits` apply if it has none of its own. Raises UserError if the prompt is invalid."""
        return cls(judge, load_prompt(judge.prompt), judge.limits or limits, seed)

    def request(self, row: Row, values: dict[str, Any]) -> Request:
        """Return the request for one text; `values` fill the prompt. Raises UserError if one is missing."""
        return Request(row, messages(self.prompt, values), 0, {})

    def asked(self, request: Request, attempt: int, endpoints: Sequence[Endpoint]) -> tuple[Endpoint, ProviderRequest]:
        """Return the provider request; a retry after a reply without scores has another seed and a higher temperature."""
        (endpoint,) = endpoints
        sampling = Sampling(temperature=0.7 if attempt else 0, max_new_tokens=self.judge.max_new_tokens)
        return endpoint, ProviderRequest(endpoint.provider, endpoint.identity, request.messages, sampling, seed_of(self.seed, attempt))

    def usable(self, request: Request, reply: Reply) -> bool:
        """Return whether the reply has every score."""
        return read_scores(reply.text, self.prompt.scales) is not None

    def judgement(self, request: Request, endpoints: Sequence[Endpoint], log: RequestLog) -> Judgement:
        """Return the first reply with scores among the attempts, or the last one, and the tokens of all attempts."""
        judgement = Judgement(None, None)
        for attempt in range(self.limits.attempts):
            reply = log.reply(self.asked(request, attempt, endpoints)[1].key)
            if reply is None or judgement.scores:
                break
            judgement = Judgement(
                read_scores(reply.text, self.prompt.scales), reply.text.strip(),
                judgement.prompt_tokens + reply.prompt_tokens, judgement.completion_tokens + reply.completion_tokens, reply.redacted,
            )  # fmt: skip
        return judgement


def read_scores(text: str, scales: Mapping[str, tuple[float, float]]) -> Scores | None:
    """Return the scores from the last JSON object that has all of them, each on its scale, or None.

    For a single scale, a number in the text counts too: one that the text begins with, that its name or "score" precedes, or that is the
    only one. Those of the scale itself and of a list are none. The judge's reasoning, with the scores that it considers, is no answer.
    """
    found, answer = None, answer_of(text)
    if answer.lstrip().startswith("<think>"):
        return None  # it was cut off in its reasoning
    for match in _OBJECT.finditer(answer):
        try:
            values = orjson.loads(match.group())
        except orjson.JSONDecodeError:
            continue
        scores = {name: values.get(name) for name in scales}
        if all(_is_on(scale, scores[name]) for name, scale in scales.items()):
            found = scores
    if found is None and len(scales) == 1:
        ((name, scale),) = scales.items()
        of_scale = _SCALE.format(*(re.escape(f"{end:g}") for end in scale))
        score = _only_number(re.sub(of_scale, "", _ITEM.sub("", answer) if _LIST.search(answer) else answer), name)
        return {name: score} if score is not None and _is_on(scale, score) else None
    return found


def _only_number(answer: str, name: str) -> float | None:
    """Return the number that an answer in words gives; None if there is none, or several of which none is said to be the score."""
    numbers = [match.group() for match in _NUMBER.finditer(answer)]
    title = f"{re.escape(name)}|{re.escape(name.replace('_', ' '))}|score|rating"
    named = re.findall(rf"(?i)(?<!\w)(?:{title})[^\w-]{{0,4}}({_NUMBER.pattern})", answer)
    if numbers and answer.lstrip(" \n*_#(").startswith(numbers[0]):
        return float(numbers[0])
    if named or len(numbers) == 1:
        return float((named or numbers)[-1])
    return None


def _is_on(scale: tuple[float, float], score: object) -> bool:
    return isinstance(score, int | float) and not isinstance(score, bool) and scale[0] <= score <= scale[1]
