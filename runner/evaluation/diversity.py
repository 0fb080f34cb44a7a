"""Measure the diversity of texts without a model: prompts, replies, rewritten texts and their sources.

distinct_1 and distinct_2: distinct word n-grams over all texts (Li et al. 2016), 0 to 1. nearest: the mean, over a seeded sample, of each
text's highest Jaccard similarity of word pairs to another text in the sample, 0 (all different) to 1 (all repeated). The n-gram shares fall
as texts are added: for a large set, they are those of a seeded sample.
"""

import random
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from ...schemas.base.words import WORD

SAMPLE = 5000  # texts whose words are counted
COMPARED = 400  # texts that are compared with each other: 80,000 pairs
_SEED = 42


class Sample:
    """A uniform seeded sample of the texts that it is given; only the sample is kept in memory."""

    def __init__(self, seed: int) -> None:
        self.texts: list[str] = []
        self.seen = 0
        self.draw = random.Random(seed)

    def add(self, text: str) -> None:
        """Add a text."""
        self.seen += 1
        if len(self.texts) < SAMPLE:
            self.texts.append(text)
        elif (place := self.draw.randrange(self.seen)) < SAMPLE:
            self.texts[place] = text


def diversity_by_part(records: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Return the diversity of prompts and replies in chats, or of texts and the source texts that they were made from."""
    samples: dict[str, Sample] = {}
    for record in records:
        for part, text in _parts(record):
            samples.setdefault(part, Sample(_SEED)).add(text)
    return {part: diversity(sample) for part, sample in samples.items()}


def _parts(record: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for message in record.get("messages", ()):
        part = {"user": "prompts", "assistant": "replies"}.get(message["role"])
        if part and isinstance(message["content"], str):
            yield part, message["content"]
    if "messages" not in record:
        yield "texts", record["text"]
        if isinstance(original := record.get("meta", {}).get("source_text"), str):
            yield "source texts", original


def diversity(sample: Sample) -> dict[str, Any]:
    """Return texts, sampled, distinct (of these), mean_words, distinct_1, distinct_2, nearest and compared; None if not measurable."""
    texts = sample.texts
    words = [re.findall(WORD, text.casefold()) for text in texts]
    ones, twos = [word for row in words for word in row], [pair for row in words for pair in zip(row, row[1:], strict=False)]
    chosen = words if len(words) <= COMPARED else random.Random(_SEED).sample(words, COMPARED)
    return {
        "texts": sample.seen,
        "sampled": len(texts),
        "distinct": len(set(map(tuple, words))),
        "mean_words": len(ones) / len(texts) if texts else None,
        "distinct_1": len(set(ones)) / len(ones) if ones else None,
        "distinct_2": len(set(twos)) / len(twos) if twos else None,
        "nearest": _nearest([set(zip(row, row[1:], strict=False)) or set(row) for row in chosen]),
        "compared": len(chosen),
    }


def diversity_line(facts: Mapping[str, Any]) -> str:
    """Describe the diversity of a part of the training rows in a sentence."""
    of = f"{facts['sampled']:,}" + (f" sampled of {facts['texts']:,}" if facts["sampled"] < facts["texts"] else "")
    line = f"{facts['distinct']:,} of {of} are distinct"
    shares = [(f"distinct-{n}", facts[f"distinct_{n}"]) for n in (1, 2)]
    line += "".join(f"; {name} {value:.3f}" for name, value in shares if value is not None)
    if facts["nearest"] is not None:
        line += f"; mean similarity to the nearest other {facts['nearest']:.2f} (0 is none)"
    return line


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
