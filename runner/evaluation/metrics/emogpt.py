"""EmoGPT's own metrics: how many tokens the rewritten replies save, and how many emoji they have."""

from ....converters.sources.emogpt import emoji_count
from . import Prediction, percent, register_metric
from .cl100k import count_tokens

MOST_EMOJI = 5  # the EmoGPT guide filters "over-augmented samples (>5 emojis per response)"


@register_metric("token_reduction", unit="%", higher_is_better=True, needs_reply=True, applies_to_reference=True, aggregate=percent)
def token_reduction(row: Prediction) -> tuple[float, float]:
    """The percentage of cl100k_base tokens that replies save against the originals before the rewrite. Up to 100.

    (sum of original - sum of generated) / sum of original, as in the EmoGPT guide, but against `original_tokens`: the guide used the stored
    reply, which is already compressed, so that a perfect model scored 0. A reply that does not stop on its own was cut, not shortened: it
    saves nothing. (0, 0) for a row without `original_tokens`.
    """
    if not row.original_tokens:
        return 0, 0
    saved = row.original_tokens - count_tokens(row.reply)
    return (saved if row.stopped else min(saved, 0)), row.original_tokens


@register_metric("emoji_rate", unit="per reply", higher_is_better=None, needs_reply=True, applies_to_reference=True)
def emoji_rate(row: Prediction) -> tuple[float, float]:
    """Emoji per reply, counted by grapheme cluster: a family, a flag or a skin tone is one emoji. From 0."""
    return emoji_count(row.reply), 1


@register_metric("spam_rate", unit="%", higher_is_better=False, needs_reply=True, applies_to_reference=True, aggregate=percent)
def spam_rate(row: Prediction) -> tuple[float, float]:
    """The percentage of replies with more than 5 emoji, counted by grapheme cluster. 0 to 100."""
    return emoji_count(row.reply) > MOST_EMOJI, 1
