"""Mean length of a reply in the model's own tokens. From 0; neither long nor short is better in itself."""

from . import Prediction, ratio

UNIT = "tokens"
BETTER = ""
NEEDS_REPLY = True
ON_REFERENCE = False

value = ratio


def parts(case: Prediction) -> tuple[float, float]:
    """The reply's tokens."""
    return case.reply_tokens, 1
