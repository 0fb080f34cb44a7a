"""Emoji per reply, counted by grapheme cluster: a family, a flag or a skin tone is one emoji. From 0."""

from ....converters.sources.emogpt import emoji_count
from . import Prediction, ratio

UNIT = "per reply"
BETTER = ""
NEEDS_REPLY = True
ON_REFERENCE = True

value = ratio


def parts(case: Prediction) -> tuple[float, float]:
    """The reply's emoji."""
    return emoji_count(case.reply), 1
