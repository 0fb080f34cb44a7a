"""Stop rate: the percentage of replies that end on their own, before max_new_tokens. 0 to 100."""

from . import Prediction, percent

UNIT = "%"
BETTER = "higher"
NEEDS_REPLY = True
ON_REFERENCE = False

value = percent


def parts(case: Prediction) -> tuple[float, float]:
    """1 for a reply that stopped."""
    return float(case.stopped), 1
