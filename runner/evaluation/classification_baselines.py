"""Baselines for a classifier: the majority class, a label named in the text, and a linear model on word counts."""

import re
from collections import Counter
from collections.abc import Callable, Mapping
from typing import Any, Literal

from ...schemas.base.words import WORD
from .label_schemes import pair_of

FEATURES = 100_000

Rows = list[dict[str, Any]]
ClassWeights = Mapping[str, float] | Literal["balanced"] | None
Baseline = Callable[[Rows, list[str], list[str], ClassWeights], list[list[float]]]


def majority(train: Rows, texts: list[str], labels: list[str], class_weights: ClassWeights) -> list[list[float]]:
    """Give every text each label with its share of the training rows."""
    counts = Counter(row["label"] for row in train)
    return [[counts[label] / len(train) for label in labels]] * len(texts)


def mentioned(train: Rows, texts: list[str], labels: list[str], class_weights: ClassWeights) -> list[list[float]]:
    """Give every text each label with its share of the labels that the text names; a text that names none gets the majority's.

    A single letter of a label (of an MBTI type) is named by a word that is a whole label. Its score shows how much the texts reveal.
    """
    fallback = majority(train, texts[:1], labels, class_weights)[:1]
    of_letters = pair_of(labels)
    place = of_letters and of_letters[0].pairs.index(of_letters[1])
    names = of_letters[0].pattern if of_letters else "|".join(map(re.escape, labels))
    pattern = re.compile(rf"(?<![^\W_])({names})(?:['’]?s)?(?![^\W_])", re.IGNORECASE)
    folded = {label.casefold(): label for label in labels}
    found = []
    for text in texts:
        words = [match.casefold() for match in pattern.findall(text)]
        counts = Counter(folded[word if place is None else word[place]] for word in words)
        found.append([counts[label] / len(words) for label in labels] if words else fallback[0])
    return found


def tfidf(train: Rows, texts: list[str], labels: list[str], class_weights: ClassWeights) -> list[list[float]]:
    """Fit a logistic regression on the TF-IDF of words and pairs of words, with the recipe's class weights."""
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline

    vectorizer = TfidfVectorizer(token_pattern=WORD, ngram_range=(1, 2), sublinear_tf=True, max_features=FEATURES)
    weights = dict(class_weights) if isinstance(class_weights, Mapping) else class_weights
    model = make_pipeline(vectorizer, LogisticRegression(max_iter=1000, class_weight=weights))
    model.fit([row["text"] for row in train], [row["label"] for row in train])
    columns = {label: column for column, label in enumerate(model.classes_)}
    return [[float(row[columns[label]]) for label in labels] for row in model.predict_proba(texts)]


# name in predictions.jsonl and metrics.json -> probabilities (texts, labels) from (training rows, texts, labels, class weights)
BASELINES: dict[str, Baseline] = {"majority": majority, "mentioned": mentioned, "tfidf": tfidf}
