"""The 28 GoEmotions labels in three groups: the sentiment of replies by the emotion of their prompts."""

import json
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from ...schemas.base.errors import Problem, UserError
from .scoring import BASE, TUNED, YES, measured

POSITIVE = ("admiration", "amusement", "approval", "caring", "curiosity", "desire", "excitement", "gratitude", "joy", "love", "optimism",
            "pride", "realization", "relief")  # fmt: skip
NEGATIVE = ("anger", "annoyance", "confusion", "disappointment", "disapproval", "disgust", "embarrassment", "fear", "grief", "nervousness",
            "remorse", "sadness")  # fmt: skip
NEUTRAL = ("neutral", "surprise")
GROUPS = {"positive": POSITIVE, "neutral": NEUTRAL, "negative": NEGATIVE}
GROUP_OF = {emotion: group for group, emotions in GROUPS.items() for emotion in emotions}

Replies = Sequence[tuple[str, str | None]]  # (emotion of the prompt, emotion of the reply), None without a reply


def sentiment_scores(base: Replies, tuned: Replies, confidence: float, seed: int = 0) -> dict[str, Any]:
    """Return each model's counts by the emotions of prompt and reply, and for each group of prompts a table of the percentages of positive,
    neutral and negative replies, of the prompts that both models have answered.

    Raises KeyError for an emotion that is not one of the 28.
    """
    by_group: dict[str, list[tuple[str, str]]] = {}
    for (prompt, of_base), (_, of_tuned) in zip(base, tuned, strict=True):
        if of_base is not None and of_tuned is not None:
            by_group.setdefault(GROUP_OF[prompt], []).append((GROUP_OF[of_base], GROUP_OF[of_tuned]))
    tables = {}
    for group in GROUPS:
        if pairs := by_group.get(group):
            kinds = [{kind: [found == kind for found in of_model] for kind in GROUPS} for of_model in zip(*pairs, strict=True)]
            columns: dict[str, Any] = dict(zip((BASE, TUNED), kinds, strict=True))
            tables[group] = measured(dict.fromkeys(GROUPS, YES), columns, len(pairs), confidence, seed)
    return {"models": {BASE: _counted(base), TUNED: _counted(tuned)}, "groups": tables}


def _counted(replies: Replies) -> dict[str, Any]:
    found: dict[str, Counter[str]] = {}
    for prompt, reply in replies:
        if reply is not None:
            found.setdefault(prompt, Counter())[reply] += 1
    counts = {prompt: dict(counts) for prompt, counts in found.items()}
    return {"counts": counts, "without_reply": sum(reply is None for _, reply in replies)}


def emotion_prompts(path: Path) -> list[tuple[str, str]]:
    """Return the (emotion, prompt) pairs of a JSON file of prompts by emotion. Raises UserError if it is not one."""

    def wrong(what: str) -> UserError:
        return UserError(Problem(path, what, 'an object of lists: {"joy": ["Describe ..."], ...}', "prompts"))

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
