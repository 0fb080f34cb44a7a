"""How different the prompts of a data set are, without a model.

distinct_1 and distinct_2: distinct word n-grams over all of them (Li et al. 2016), 0 to 1. nearest: the mean, over a seeded sample, of
each prompt's highest Jaccard similarity of word pairs to another prompt of the sample, 0 (all different) to 1 (all repeated).
"""

import random
import re
from collections.abc import Sequence
from typing import Any

SAMPLE = 400  # prompts that are compared with each other: 80,000 pairs
_WORD = re.compile(r"[\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af]+")


def prompt_diversity(prompts: Sequence[str], seed: int = 42) -> dict[str, Any]:
    """prompts, distinct prompts, mean words, distinct_1, distinct_2 and nearest; None where there is nothing to measure."""
    words = [_WORD.findall(prompt.casefold()) for prompt in prompts]
    ones, twos = [word for row in words for word in row], [pair for row in words for pair in zip(row, row[1:], strict=False)]
    chosen = words if len(words) <= SAMPLE else random.Random(seed).sample(words, SAMPLE)
    return {
        "prompts": len(prompts),
        "distinct": len(set(map(tuple, words))),
        "mean_words": len(ones) / len(prompts) if prompts else None,
        "distinct_1": len(set(ones)) / len(ones) if ones else None,
        "distinct_2": len(set(twos)) / len(twos) if twos else None,
        "nearest": _nearest([set(zip(row, row[1:], strict=False)) or set(row) for row in chosen]),
        "compared": len(chosen),
    }


def _nearest(sets: list[set[Any]]) -> float | None:
    if len(sets) < 2:
        return None
    best = [0.0] * len(sets)
    for first, here in enumerate(sets):
        for second in range(first):
            union = len(here | sets[second])
            shared = len(here & sets[second]) / union if union else 1.0
            best[first], best[second] = max(best[first], shared), max(best[second], shared)
    return sum(best) / len(best)
