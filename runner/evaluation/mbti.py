"""MBTI types and their four letters: 16 labels split into four binary ones, four binary ones joined into 16, and scores of each letter."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, cast

DIMENSIONS = ("EI", "NS", "FT", "JP")
POSITIVE = ("I", "N", "F", "J")  # the letters that the earlier paper counts as positive
_TYPE = re.compile(r"[EI][NS][FT][JP]")
_SCORES = ("accuracy", "f1", "precision", "recall")


def are_types(labels: Sequence[str]) -> bool:
    """Whether every label is a type of four letters."""
    return bool(labels) and all(_TYPE.fullmatch(label) for label in labels)


def dimension_of(labels: Sequence[str]) -> str | None:
    """The dimension whose letters the two labels are; None for other labels."""
    return next((dimension for dimension in DIMENSIONS if sorted(labels) == sorted(dimension)), None)


def join(letters: Mapping[str, Sequence[str]]) -> list[str]:
    """The types of the rows from their letters in each of the four dimensions."""
    return ["".join(row) for row in zip(*(letters[dimension] for dimension in DIMENSIONS), strict=True)]


def split(types: Sequence[str]) -> dict[str, list[str]]:
    """The rows' letters in each dimension."""
    return {dimension: [label[place] for label in types] for place, dimension in enumerate(DIMENSIONS)}


def dimension_scores(truth: Sequence[str], predicted: Sequence[str]) -> dict[str, dict[str, float]]:
    """accuracy, f1, precision and recall (of I, N, F and J) for each dimension and their `mean` over the four, 0 to 1."""
    from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

    given, wanted = split(predicted), split(truth)
    found: dict[str, dict[str, float]] = {}
    for dimension, positive in zip(DIMENSIONS, POSITIVE, strict=True):
        pair = wanted[dimension], given[dimension]
        of_letter: dict[str, Any] = {"pos_label": positive, "zero_division": cast(Any, 0)}
        scores = (accuracy_score(*pair), *(score(*pair, **of_letter) for score in (f1_score, precision_score, recall_score)))
        found[dimension] = {name: float(score) for name, score in zip(_SCORES, scores, strict=True)}
    mean = {name: sum(scores[name] for scores in found.values()) / len(found) for name in _SCORES}
    return {**found, "mean": mean}
