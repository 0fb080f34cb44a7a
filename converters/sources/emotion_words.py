"""Parse answers that list emotion words, and count how many runs of a question gave each word.

The rules are those of the pipeline that made the data: they reproduce its 770 answers and 77 merged files.
"""

import re
from collections import Counter
from collections.abc import Iterable

_SEPARATORS = re.compile(r"[;\s\-|&+]+")
_NUMBER = re.compile(r"^\d+\.?\s*")
_EDGES = re.compile(r"^\W+|\W+$")
_WORD = re.compile(r"[A-Za-z]{2,20}")
_ANY_WORD = re.compile(r"\b[a-zA-Z]{3,15}\b")
_REFUSAL = re.compile(
    r"\bplease (provide|share|give)\b|\b(can ?not|can['’]t|unable to|not able to)\b|\bi['’ ]a?m (sorry|happy|glad)\b|\bsorry\b.*\b(i|but)\b"
    r"|\bas an? (ai|language model)\b|\bi['’ ](wi)?ll (analy[sz]e|need)\b|\bhappy to help\b",
    re.IGNORECASE,
)
# Endings of English words for feelings, so that Frustration and Frustrated count as one word. The longest match is removed.
_ENDINGS = sorted(
    "ation ated ating ates ate ion ed ing s es ied ies y ity osity iosity iety ety ous ious ment ful fully ness iness ly e ance ence"
    " ant ent ic ia al".split(),
    key=len, reverse=True,
)  # fmt: skip


def parse_emotions(answer: str) -> list[str]:
    """Return the emotion words of a model's answer, capitalised, without duplicates; without a list, all words of the sentence, or
    Neutral."""
    first = answer.strip().split("\n", 1)[0]
    line = _NUMBER.sub("", first.replace('"', "").replace("'", ""))
    if "|" in line:
        parts = line.split("|")
    else:
        parts = line.split(",") if "," in line else _SEPARATORS.split(line)
    words = [_EDGES.sub("", part) for part in parts]
    if listed := [word.capitalize() for word in words if _WORD.fullmatch(word)]:
        return list(dict.fromkeys(listed))
    return [word.capitalize() for word in _ANY_WORD.findall(first) if word.lower() != "assistant"] or ["Neutral"]


def is_refusal(answer: str) -> bool:
    """Return whether the answer is not a list of emotions but a refusal, a request for the text, or empty."""
    return not answer.strip() or bool(_REFUSAL.search(answer))


def merge_runs(runs: Iterable[Iterable[str]]) -> dict[str, int]:
    """Return how many runs gave each word, the most frequent first; ties keep the order of appearance."""
    counts = Counter(word for run in runs for word in dict.fromkeys(run))
    return dict(counts.most_common())


def word_family(word: str) -> str:
    """Return what the forms of a word share: Frustration and Frustrated give `frustr`. A heuristic for English, not a dictionary."""
    stem = word.lower()
    while ending := next((end for end in _ENDINGS if stem.endswith(end) and len(stem) - len(end) >= 3), ""):
        stem = stem.removesuffix(ending)
    return stem
