"""Repetition: the percentage of a reply's word 4-grams that stood in it before (as seq-rep-4 in Welleck et al. 2020). 0 to 100."""

from . import Prediction, percent

UNIT = "%"
BETTER = "lower"
NEEDS_REPLY = True
ON_REFERENCE = True
SIZE = 4

value = percent


def parts(case: Prediction) -> tuple[float, float]:
    """Repeated 4-grams and all 4-grams."""
    words = case.reply.split()
    grams = [tuple(words[i : i + SIZE]) for i in range(len(words) - SIZE + 1)]
    return len(grams) - len(set(grams)), len(grams)
