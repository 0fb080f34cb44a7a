"""Labels that consist of letters, one from each pair: models of whole labels, binary models of the pairs, and scores of each letter.

A scheme is a line in SCHEMES; everything else looks its letters up here.
"""

import re
from collections.abc import Mapping, Sequence
from itertools import product
from math import prod
from typing import Any, NamedTuple, cast

from ...converters.sources.mbti import DIMENSIONS as MBTI_PAIRS

_SCORES = ("accuracy", "f1", "precision", "recall")


class LabelScheme(NamedTuple):
    """A label has a letter from each pair, in order. `positive` are the positive classes for F1, precision and recall."""

    name: str
    pairs: tuple[str, ...]
    positive: tuple[str, ...]

    @property
    def pattern(self) -> str:
        """Return a regular expression that matches every label."""
        return "".join(f"[{pair}]" for pair in self.pairs)

    def are_whole(self, labels: Sequence[str]) -> bool:
        """Return whether every label has all letters."""
        return bool(labels) and all(re.fullmatch(self.pattern, label) for label in labels)

    def pair_of(self, labels: Sequence[str]) -> str | None:
        """Return the pair that the two labels form, or None."""
        return next((pair for pair in self.pairs if sorted(labels) == sorted(pair)), None)

    def join(self, letters: Mapping[str, Sequence[str]]) -> list[str]:
        """Return the labels of the rows from their letters."""
        return ["".join(row) for row in zip(*(letters[pair] for pair in self.pairs), strict=True)]

    def split(self, labels: Sequence[str]) -> dict[str, list[str]]:
        """Return the rows' letters of each pair."""
        return {pair: [label[place] for label in labels] for place, pair in enumerate(self.pairs)}

    def joined_probabilities(self, letters: Mapping[str, Mapping[str, float]]) -> dict[str, float]:
        """Return the probability of every label if the letters are independent: the product of its letters' probabilities."""
        return {"".join(label): prod(letters[pair][letter] for pair, letter in zip(self.pairs, label, strict=True))
                for label in product(*map(sorted, self.pairs))}  # fmt: skip

    def scores(self, truth: Sequence[str], predicted: Sequence[str]) -> dict[str, dict[str, float]]:
        """Return accuracy, f1, precision and recall of each pair and their `mean`, 0 to 1."""
        from sklearn.metrics import accuracy_score, f1_score, precision_score, recall_score

        given, wanted = self.split(predicted), self.split(truth)
        found: dict[str, dict[str, float]] = {}
        for pair, positive in zip(self.pairs, self.positive, strict=True):
            columns = wanted[pair], given[pair]
            of_letter: dict[str, Any] = {"pos_label": positive, "zero_division": cast(Any, 0)}
            values = (accuracy_score(*columns), *(score(*columns, **of_letter) for score in (f1_score, precision_score, recall_score)))
            found[pair] = {name: float(value) for name, value in zip(_SCORES, values, strict=True)}
        mean = {name: sum(scores[name] for scores in found.values()) / len(found) for name in _SCORES}
        return {**found, "mean": mean}


SCHEMES = (LabelScheme("MBTI", MBTI_PAIRS, positive=("I", "N", "F", "J")),)  # the positive classes in the MBTI paper


def scheme_of(labels: Sequence[str]) -> LabelScheme | None:
    """Return the scheme whose whole labels these are."""
    return next((scheme for scheme in SCHEMES if scheme.are_whole(labels)), None)


def pair_of(labels: Sequence[str]) -> tuple[LabelScheme, str] | None:
    """Return the scheme and the pair that the two labels form."""
    return next(((scheme, pair) for scheme in SCHEMES if (pair := scheme.pair_of(labels))), None)
