"""Estimate requests and cost without sending anything. Prompt tokens are counted; for reply tokens, the maximum is assumed."""

from collections import Counter
from pathlib import Path
from typing import Any

from ...converters.reading.records import Drop
from ...schemas.base.counted import counted, listed
from ...schemas.generate_sections import Generate
from ..evaluation.metrics.cl100k import count_tokens
from ..models.reference import resolve_target
from ..providers.endpoints import LOCAL, cost, endpoint
from ..providers.request_log import RequestLog
from ..providers.requests import Request
from .job import Job
from .outcomes import Passthrough


def estimate(generate: Generate, log_path: Path, runs: Path) -> dict[str, Any]:
    """Return requests, prompt tokens (by cl100k_base; a provider's tokenizer differs), most reply tokens and most cost, by provider.

    First attempts only. `answered` are those already in the log; tokens and cost are for the others.
    """
    job = Job.of(generate)
    identities = [resolve_target(p.model, runs).identity if p.provider in LOCAL else "" for p in generate.providers]
    endpoints = [endpoint(p, identity=i, with_key=False) for p, i in zip(generate.providers, identities, strict=True)]
    found: dict[str, Counter[str]] = {e.name: Counter(requests=0, answered=0, prompt_tokens=0) for e in endpoints}
    log = RequestLog(log_path) if log_path.is_file() else None
    counts: Counter[str] = Counter(requests=0, given=0)
    dropped: Counter[str] = Counter()
    tokens: dict[tuple[Any, ...], int] = {}
    for item in job.items():
        if isinstance(item, Drop):
            dropped[item.reason] += 1
            continue
        counts["given" if isinstance(item, Passthrough) else "requests"] += 1
        if isinstance(item, Request):
            asked_of, asked = job.asked(item, 0, endpoints)
            facts = found[asked_of.name]
            facts["requests"] += 1
            if log and log.reply(asked.key):
                facts["answered"] += 1
                continue
            texts = tuple(message["content"] for message in item.messages)
            if texts not in tokens:  # repetitions of one prompt follow each other
                tokens = {texts: sum(map(count_tokens, texts))}
            facts["prompt_tokens"] += tokens[texts]
    if log:
        log.close()
    providers = []
    longest = 0 if generate.task == "label" else generate.sampling.max_new_tokens  # a classifier writes no text
    for asked_of in endpoints:
        facts = found[asked_of.name]
        most = (facts["requests"] - facts["answered"]) * longest
        priced = cost(asked_of.price, facts["prompt_tokens"], most)
        money = {"most_cost": round(priced, 4), "currency": asked_of.price.currency} if asked_of.price and priced is not None else {}
        providers.append({"provider": asked_of.name, **facts, "most_reply_tokens": most, **money})
    judge = generate.judge and generate.judge.provider
    judged = {"judged": counts["requests"], "judge": f"{judge.provider}/{judge.model}"} if judge else {"judged": 0}
    return {**counts, "dropped": dict(sorted(dropped.items())), "min_rows": generate.min_rows, "providers": providers, **judged}


def estimate_lines(facts: dict[str, Any]) -> list[str]:
    """Return the estimate in words."""
    target = f" at most, until {counted(facts['min_rows'], 'row')} are kept" if facts["min_rows"] else ""
    given = f"; {counted(facts['given'], 'row')} without a request" if facts["given"] else ""
    dropped = f"; dropped: {listed(facts['dropped'])}" if facts["dropped"] else ""
    lines = [f"{counted(facts['requests'], 'request')}{target}{given}{dropped}"]
    for provider in facts["providers"]:
        known = f" ({provider['answered']:,} answered already)" if provider["answered"] else ""
        money = f", at most {provider['most_cost']:,.4f} {provider['currency']}" if "most_cost" in provider else ", no price given"
        money = ", on this machine" if provider["provider"].startswith(tuple(f"{name}/" for name in LOCAL)) else money
        asked = f"{counted(provider['requests'], 'request')}{known}"
        most = f", at most {provider['most_reply_tokens']:,} reply tokens" if provider["most_reply_tokens"] else ""
        lines.append(f"{provider['provider']}: {asked}, {provider['prompt_tokens']:,} prompt tokens (cl100k){most}{money}")
    if facts["judged"]:
        most = f"at most {counted(facts['judged'], 'judgement')} by {facts['judge']} in addition"
        lines.append(f"{most}; their prompts depend on replies that do not exist yet")
    return lines
