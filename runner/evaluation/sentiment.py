"""The 28 GoEmotions labels in three groups: the sentiment of replies by the emotion of their prompts."""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...schemas.base.errors import Location, Problem, UserError

POSITIVE = ("admiration", "amusement", "approval", "caring", "curiosity", "desire", "excitement", "gratitude", "joy", "love", "optimism",
            "pride", "realization", "relief")  # fmt: skip
NEGATIVE = ("anger", "annoyance", "confusion", "disappointment", "disapproval", "disgust", "embarrassment", "fear", "grief", "nervousness",
            "remorse", "sadness")  # fmt: skip
NEUTRAL = ("neutral", "surprise")
GROUPS = {"positive": POSITIVE, "neutral": NEUTRAL, "negative": NEGATIVE}
GROUP_OF = {emotion: group for group, emotions in GROUPS.items() for emotion in emotions}

Counts = Mapping[str, Mapping[str, int]]  # prompt emotion -> reply emotion -> replies


def counted(pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Return counts for (emotion of the prompt, emotion of the reply) pairs."""
    found: dict[str, Counter[str]] = {}
    for prompt, reply in pairs:
        found.setdefault(prompt, Counter())[reply] += 1
    return {prompt: dict(counts) for prompt, counts in found.items()}


def by_group(counts: Counts) -> dict[str, dict[str, Any]]:
    """Return rows, and the percentage of positive, neutral and negative replies, for each non-empty group of prompts.

    Raises KeyError for an emotion that is not one of the 28.
    """
    sums: dict[str, Counter[str]] = {}
    for prompt, replies in counts.items():
        for reply, count in replies.items():
            sums.setdefault(GROUP_OF[prompt], Counter())[GROUP_OF[reply]] += count
    return {
        group: {"rows": sums[group].total(), **{kind: 100 * sums[group][kind] / sums[group].total() for kind in GROUPS}}
        for group in GROUPS
        if group in sums
    }


def emotion_prompts(path: Path) -> list[tuple[str, str]]:
    """Return the (emotion, prompt) pairs of a JSON file of prompts by emotion. Raises UserError if it is not one."""

    def wrong(what: str) -> UserError:
        return UserError(Problem(Location(str(path)), what, 'an object of lists: {"joy": ["Describe ..."], ...}', "prompts"))

    try:
        found = json.loads(path.read_text(encoding="utf-8-sig"))
    except (OSError, ValueError, RecursionError) as error:
        raise wrong(f"cannot be read: {error}") from None
    if not isinstance(found, dict) or not found:
        raise wrong("holds no prompts by emotion")
    if unknown := [emotion for emotion in found if emotion not in GROUP_OF]:
        raise wrong(f"{unknown[0]!r} is not one of the 28 emotions of GoEmotions")
    for emotion, prompts in found.items():
        if not isinstance(prompts, list) or not prompts or not all(isinstance(text, str) and text.strip() for text in prompts):
            raise wrong(f"{emotion} is not a list of prompts")
    return [(emotion, text) for emotion, prompts in found.items() for text in prompts]
