"""The likelihood of target tokens: those that training trains, so that prompts and padding do not count."""

import math

from . import Prediction, percent, ratio, register_metric


def exp_of_mean(nll: float, tokens: float) -> float:
    """Return exp(mean), infinite on overflow."""
    mean = ratio(nll, tokens)
    return math.inf if mean > 700 else math.exp(mean)


@register_metric("perplexity", higher_is_better=False, aggregate=exp_of_mean, record_types=("chat", "text"))
def perplexity(row: Prediction) -> tuple[float, float]:
    """exp of the mean negative log-likelihood (nats) of the target tokens. From 1."""
    return row.nll, row.target_tokens


@register_metric("token_accuracy", unit="%", higher_is_better=True, aggregate=percent, record_types=("chat", "text"))
def token_accuracy(row: Prediction) -> tuple[float, float]:
    """The percentage of target tokens that the model finds most likely, given the true text before them. 0 to 100."""
    return row.correct, row.target_tokens
