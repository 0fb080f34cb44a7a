"""BLEU-1 to BLEU-4 of replies against the data's own, over jieba words, as EmoLLM's evaluate/metric.py computes them. 0 to 100.

The mean over rows of nltk's `sentence_bleu` with smoothing method 1 and the weights (1/n, ...) up to n-grams of that order (Papineni et
al. 2002; Chen and Cherry 2014). A mean of sentence scores, not a corpus BLEU. EmoLLM's published table took its rows from the training
data; compare with it only as an upper line.
"""

from functools import lru_cache
from typing import Any, NamedTuple

from . import Prediction, ratio
from .jieba_words import words

ORDERS = (1, 2, 3, 4)


class Bleu(NamedTuple):
    """BLEU up to one order of n-grams."""

    order: int
    UNIT = ""
    BETTER = "higher"
    NEEDS_REPLY = True
    ON_REFERENCE = False
    value = staticmethod(ratio)

    def parts(self, case: Prediction) -> tuple[float, float]:
        """The row's score."""
        return sentence_scores(case.reply, case.reference)[self.order - 1], 1


@lru_cache(maxsize=8192)
def sentence_scores(reply: str, reference: str) -> tuple[float, ...]:
    """A row's BLEU for each of ORDERS; 0 for an empty reply."""
    from nltk.translate.bleu_score import SmoothingFunction, sentence_bleu

    if not reply.strip():
        return (0.0,) * len(ORDERS)
    weights = [tuple(1 / order for _ in range(order)) for order in ORDERS]
    found: Any = sentence_bleu([list(words(reference))], list(words(reply)), weights, SmoothingFunction().method1)
    return tuple(100 * float(score) for score in found)


MEMBERS = {f"bleu_{order}": Bleu(order) for order in ORDERS}
