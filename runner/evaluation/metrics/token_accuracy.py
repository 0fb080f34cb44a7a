"""Token accuracy: the percentage of trained tokens that the model finds likeliest, given the true text before them. 0 to 100."""

from . import Prediction, percent

UNIT = "%"
BETTER = "higher"
NEEDS_REPLY = False
ON_REFERENCE = False

value = percent


def parts(case: Prediction) -> tuple[float, float]:
    """Tokens predicted and tokens trained."""
    return case.correct, case.trained
