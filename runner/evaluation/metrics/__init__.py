"""The metrics, by name. A metric is a function of sums over rows (most are a ratio of two), so that one bootstrap serves them all.

Each module has UNIT, BETTER ("lower", "higher", or "" where neither is better), NEEDS_REPLY (it measures generated text),
ON_REFERENCE (the data's own replies can be measured in the same way), `parts(case)`, as many numbers for every case, and
`value(*sums)` of those. A module with several metrics has them as MEMBERS. The metrics of labels, OF_LABELS, take a LabelPrediction, all
others a Case. Which record types have a metric: schemas/metrics.py (a test compares the names).
"""

from importlib import import_module
from typing import Any, NamedTuple, Protocol, cast


class Prediction(NamedTuple):
    """One evaluated row and what a model made of it. Token counts are the model's own, but for `original_tokens` (cl100k_base)."""

    id: str
    reference: str
    reply: str
    stopped: bool
    reply_tokens: int
    nll: float
    trained: int
    correct: int
    original_tokens: int | None = None
    meta: dict[str, Any] = {}  # noqa: RUF012 - never changed; the row's own
    judged: dict[str, int] = {}  # noqa: RUF012 - never changed; a judge's scores by scale


class LabelPrediction(NamedTuple):
    """One classified row: the indices of its label and of the label that a model gave it, among `labels` of them.

    `predicted` is -1 for a generated reply that is no label; `fraction` is what the label was made from, where the row tells.
    """

    id: str
    truth: int
    predicted: int
    labels: int
    probabilities: tuple[float, ...] = ()
    fraction: float | None = None


class Metric(Protocol):
    """What a metric module has."""

    UNIT: str
    BETTER: str
    NEEDS_REPLY: bool
    ON_REFERENCE: bool

    def parts(self, case: Any) -> tuple[float, ...]:
        """The row's share of each sum; of a Case, or of a LabelPrediction."""
        ...

    def value(self, *sums: float) -> float:
        """The metric from the sums; NaN where nothing was measured."""
        ...


METRICS = (
    "perplexity", "token_accuracy", "stop_rate", "reply_tokens", "repetition", "token_reduction", "emoji_rate", "spam_rate",
    "bleu_1", "bleu_2", "bleu_3", "bleu_4", "rouge_1", "rouge_2", "rouge_l",
    "comprehensiveness", "professionalism", "authenticity", "safety",
    "accuracy", "macro_f1", "invalid_rate", "level_error", "rank_correlation",
)  # fmt: skip
OF_LABELS = frozenset({"accuracy", "macro_f1", "invalid_rate", "level_error", "rank_correlation"})
_FAMILIES = {name: "bleu" for name in METRICS if name.startswith("bleu_")}
_FAMILIES |= {name: "rouge" for name in METRICS if name.startswith("rouge_")}
_FAMILIES |= dict.fromkeys(("comprehensiveness", "professionalism", "authenticity", "safety"), "judged")


def metric(name: str) -> Metric:
    """The metric called `name`."""
    family = _FAMILIES.get(name)
    module = import_module(f".{family or name}", __package__)
    return cast(Metric, module.MEMBERS[name] if family else module)


def ratio(numerator: float, denominator: float) -> float:
    """The plain value of a ratio metric."""
    return numerator / denominator if denominator else float("nan")


def percent(numerator: float, denominator: float) -> float:
    """A ratio in percent."""
    return 100 * ratio(numerator, denominator)
