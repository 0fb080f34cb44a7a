"""Perplexity on the trained tokens: exp of the mean negative log-likelihood. From 1; lower is better.

Only the tokens that training trains count, so prompts and padding do not flatter it.
"""

import math

from . import Prediction, ratio

UNIT = ""
BETTER = "lower"
NEEDS_REPLY = False
ON_REFERENCE = False


def parts(case: Prediction) -> tuple[float, float]:
    """Summed negative log-likelihood (nats) and the tokens it was summed over."""
    return case.nll, case.trained


def value(numerator: float, denominator: float) -> float:
    """exp(mean), infinite where it overflows."""
    mean = ratio(numerator, denominator)
    return math.inf if mean > 700 else math.exp(mean)
