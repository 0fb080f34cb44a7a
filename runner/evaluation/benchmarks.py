"""Result files of BLiMP and GLUE as BabyLM's evaluation pipeline leaves them: FOLDER/zeroshot/<phenomenon>/eval_results.json.

{"eval_accuracy": 0.789}; the mean over the 12 phenomena of BLiMP (Warstadt et al. 2020), in percent, is the number that BabyLM reports.
"""

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from ...schemas.base.errors import Location, Problem, UserError

PHENOMENA = (
    "anaphor_agreement", "argument_structure", "binding", "control_raising", "determiner_noun_agreement", "ellipsis", "filler_gap",
    "irregular_forms", "island_effects", "npi_licensing", "quantifiers", "subject_verb_agreement",
)  # fmt: skip


def blimp(folder: Path) -> dict[str, Any]:
    """Accuracy in percent of each phenomenon, and their mean. Raises UserError where one is missing: a mean of fewer is another number."""
    found = {name: 100 * _accuracy(folder / "zeroshot" / name / "eval_results.json") for name in PHENOMENA}
    return {"phenomena": found, "mean": sum(found.values()) / len(found)}


def glue(folder: Path) -> dict[str, float]:
    """Accuracy in percent of each fine-tuned task that has a result."""
    return {path.parent.name: 100 * _accuracy(path) for path in sorted((folder / "finetune").glob("*/eval_results.json"))}


def _accuracy(path: Path) -> float:
    try:
        values = json.loads(path.read_text(encoding="utf-8"))
        return float(values["eval_accuracy"])
    except FileNotFoundError:
        problem = Problem(Location(str(path)), "no such result file", f"BLiMP has {len(PHENOMENA)} phenomena", "no-such-file")
        raise UserError(problem) from None
    except (ValueError, KeyError, TypeError) as error:
        raise UserError(Problem(Location(str(path)), f"has no eval_accuracy: {error}", '{"eval_accuracy": 0.79}', "no-accuracy")) from None


POSITIVE = ("admiration", "amusement", "approval", "caring", "curiosity", "desire", "excitement", "gratitude", "joy", "love", "optimism",
            "pride", "realization", "relief")  # fmt: skip
NEGATIVE = ("anger", "annoyance", "confusion", "disappointment", "disapproval", "disgust", "embarrassment", "fear", "grief", "nervousness",
            "remorse", "sadness")  # fmt: skip
NEUTRAL = ("neutral", "surprise")
GROUPS = {"positive": POSITIVE, "neutral": NEUTRAL, "negative": NEGATIVE}
GROUP_OF = {emotion: group for group, emotions in GROUPS.items() for emotion in emotions}

Counts = Mapping[str, Mapping[str, int]]  # prompt emotion -> reply emotion -> replies


def counted(pairs: Iterable[tuple[str, str]]) -> dict[str, dict[str, int]]:
    """Counts from (emotion of the prompt, emotion of the reply) pairs."""
    found: dict[str, Counter[str]] = {}
    for prompt, reply in pairs:
        found.setdefault(prompt, Counter())[reply] += 1
    return {prompt: dict(counts) for prompt, counts in found.items()}


def percentages(counts: Mapping[str, int]) -> dict[str, float]:
    """Each reply emotion's share of the replies to one prompt emotion."""
    total = sum(counts.values())
    return {emotion: 100 * count / total for emotion, count in counts.items()}


def by_group(counts: Counts) -> dict[str, dict[str, Any]]:
    """For each group of prompts that has some: rows, and the percentage of positive, neutral and negative replies.

    Raises KeyError for an emotion that is none of the 28.
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
