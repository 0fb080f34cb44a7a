"""Spam rate: the percentage of replies with more than 5 emoji, counted by grapheme cluster. 0 to 100.

The limit is that of the EmoGPT guide, which wants "over-augmented samples (>5 emojis per response)" filtered out.
"""

from ....converters.sources.emogpt import emoji_count
from . import Prediction, percent

UNIT = "%"
BETTER = "lower"
NEEDS_REPLY = True
ON_REFERENCE = True
MOST = 5

value = percent


def parts(case: Prediction) -> tuple[float, float]:
    """1 for a reply with too many."""
    return float(emoji_count(case.reply) > MOST), 1
