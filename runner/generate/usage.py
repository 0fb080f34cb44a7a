"""Count requests and tokens: every request is kept or dropped for a reason, and the numbers of all providers add up."""

from collections import Counter, defaultdict
from typing import Any

from ...converters.building.row_counts import Ledger
from ...converters.building.unusable_rows import check_budget
from ..providers.endpoints import Endpoint, cost
from ..providers.request_log import RequestLog
from .outcomes import Rejected, Rows

_COUNTED = ("requests", "kept", "refused", "empty", "failed", "unusable", "filtered")
_USED = ("replies", "asked_again", "retried", "prompt_tokens", "completion_tokens", "unmetered")
_OTHER_KEYS = "name the rows' keys in generate.options: recipe show --task NAME lists them"


class Usage:
    """Counts while rows are made. `ledger` covers requests, passed-through rows and unusable input."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.requests = self.given = self.rows = self.redacted = 0
        self.fixed: Counter[str] = Counter()
        self.providers: dict[str, Counter[str]] = defaultdict(Counter)
        self.costs: dict[str, Counter[str]] = defaultdict(Counter)

    def asked(self, endpoint: Endpoint, key: str, attempt: int, log: RequestLog) -> None:
        """Count what one attempt used, whether or not its reply was usable."""
        used = self.providers[endpoint.name]
        used["asked_again"] += attempt > 0
        used["retried"] += log.failures(key)
        if reply := log.reply(key):
            used["replies"] += 1
            used["prompt_tokens"] += reply.prompt_tokens
            used["completion_tokens"] += reply.completion_tokens
            used["unmetered"] += not reply.metered
            self.redacted += reply.redacted
            paid = cost(endpoint.price, reply.prompt_tokens, reply.completion_tokens)
            if endpoint.price and paid is not None:
                self.costs[endpoint.name][endpoint.price.currency] += paid  # pyright: ignore[reportArgumentType]

    def ended(self, endpoint: Endpoint, outcome: Rows | Rejected) -> None:
        """Count how a request ended."""
        self.requests += 1
        named = "kept" if isinstance(outcome, Rows) else "filtered" if outcome.filtered else outcome.reason
        self.providers[endpoint.name]["requests"] += 1
        self.providers[endpoint.name][named if named in _COUNTED else "unusable"] += 1

    def checked(self, max_dropped: float) -> dict[str, Any]:
        """Return the usage if no more was lost than the recipe allows. Raises like a conversion."""
        check_budget(self.ledger, max_dropped, if_all="" if self.requests else _OTHER_KEYS)
        return self.as_json()

    def as_json(self) -> dict[str, Any]:
        """Return the usage for the manifest. Raises AssertionError if it does not add up."""
        providers = {}
        for name, counts in sorted(self.providers.items()):
            if counts["requests"] != sum(counts[how] for how in _COUNTED[1:]):
                raise AssertionError(f"{name}: {dict(counts)} do not add up")
            providers[name] = {key: counts[key] for key in (*_COUNTED, *_USED)}
            if self.costs[name]:
                providers[name]["cost"] = {currency: round(paid, 6) for currency, paid in self.costs[name].items()}
        ledger = self.ledger
        if self.requests != sum(facts["requests"] for facts in providers.values()):
            raise AssertionError("the providers' requests are not all requests")
        return {
            "rows_in": ledger.rows_in,
            "rows_kept": ledger.kept,
            "dropped": dict(sorted(ledger.dropped.items())),
            "requests": self.requests,
            "given": self.given,
            "rows": self.rows,
            "redacted_replies": self.redacted,
            "fixed": dict(sorted(self.fixed.items())),
            "providers": providers,
        }
