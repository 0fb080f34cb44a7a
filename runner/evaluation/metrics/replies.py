"""Properties of generated replies."""

import re
from unicodedata import normalize

from ....schemas.base.words import SPACED
from ....schemas.evaluation_sections import answer_of
from . import Prediction, percent, register_metric

NGRAM = 4
# Letters of alphabets whose words are written apart: Latin, Greek, Cyrillic, Armenian, Georgian. Elsewhere a word is found within others:
# Chinese has no spaces, and Arabic writes small words onto the next.
_LETTER = "[a-z0-9\u00df-\u00f6\u00f8-\u058f\u10a0-\u10ff\u1e00-\u1fff]"


@register_metric("stop_rate", unit="%", higher_is_better=True, needs_reply=True, aggregate=percent)
def stop_rate(row: Prediction) -> tuple[float, float]:
    """The percentage of replies that end on their own, before max_new_tokens. 0 to 100."""
    return row.stopped, 1


@register_metric("reply_tokens", unit="tokens", higher_is_better=None, needs_reply=True)
def reply_tokens(row: Prediction) -> tuple[float, float]:
    """Mean length of a reply in the model's own tokens. From 0; neither direction is better."""
    return row.reply_tokens, 1


@register_metric("repetition", unit="%", higher_is_better=False, needs_reply=True, applies_to_reference=True, aggregate=percent)
def repetition(row: Prediction) -> tuple[float, float]:
    """The percentage of a reply's word 4-grams that occurred in it before (seq-rep-4 of Welleck et al. 2020). 0 to 100."""
    words = re.findall(SPACED, row.reply)
    grams = [tuple(words[i : i + NGRAM]) for i in range(len(words) - NGRAM + 1)]
    return len(grams) - len(set(grams)), len(grams)


@register_metric("contains_reference", unit="%", higher_is_better=True, needs_reply=True, aggregate=percent)
def contains_reference(row: Prediction) -> tuple[float, float]:
    """The percentage of replies that contain the row's own reply as a whole, case-insensitively: short answers in free text. 0 to 100.

    A number is no part of another, as 3 of 3.14 or of 3,000. Reasoning before a reply is no part of it.
    """
    answer, reply = (normalize("NFC", answer_of(text).strip().casefold()) for text in (row.reference, row.reply))
    found = re.search(rf"(?<!{_LETTER})(?<![0-9][.,](?=[0-9])){re.escape(answer)}(?!{_LETTER})(?!(?<=[0-9])[.,][0-9])", reply)
    return found is not None, 1
