"""ROUGE-1, ROUGE-2 and ROUGE-L of replies against the data's own, over jieba words, as EmoLLM's evaluate/metric.py computes them. 0 to 100.

The mean over rows of the F score of the package `rouge` 1.0: n-grams count once however often they occur, and ROUGE-L is of the
summary level (Lin 2004). These numbers are not those of `rouge-score`, which counts repeated n-grams.
"""

import sys
from functools import lru_cache
from importlib import import_module
from typing import Any, NamedTuple

from . import Prediction, ratio
from .jieba_words import words


class Rouge(NamedTuple):
    """One of the three."""

    key: str
    UNIT = ""
    BETTER = "higher"
    NEEDS_REPLY = True
    ON_REFERENCE = False
    value = staticmethod(ratio)

    def parts(self, case: Prediction) -> tuple[float, float]:
        """The row's F score."""
        return 100 * f_scores(case.reply, case.reference)[self.key], 1


@lru_cache(maxsize=8192)
def f_scores(reply: str, reference: str) -> dict[str, float]:
    """A row's F scores by the package's keys; 0 for a reply or reference without words, which the package refuses."""
    package: Any = import_module("rouge")  # its name is this module's too

    texts = [" ".join(words(text)) for text in (reply, reference)]
    if not all(text.replace(".", "").strip() for text in texts):
        return dict.fromkeys(("rouge-1", "rouge-2", "rouge-l"), 0.0)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + sum(map(len, texts)))  # the package finds a longest common subsequence by recursion, a word a level
    try:
        found = package.Rouge().get_scores(*texts)[0]
    finally:
        sys.setrecursionlimit(before)
    return {key: float(score["f"]) for key, score in found.items()}


MEMBERS = {"rouge_1": Rouge("rouge-1"), "rouge_2": Rouge("rouge-2"), "rouge_l": Rouge("rouge-l")}
