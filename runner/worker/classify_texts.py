"""Score texts with a text-classification model: python -m recipekit.runner.worker.classify_texts REFERENCE < texts > scores

A text is a line {"key", "text"}; a line of the output is a batch, [[key, {label: score}, tokens], ...]. A multi-label model (go_emotions)
uses a sigmoid per label, any other a softmax over all, as in transformers' text-classification pipeline.
"""

import json
import os
import sys
from collections.abc import Iterable, Iterator
from itertools import islice
from typing import TYPE_CHECKING

from ..models.reference import ModelReference

if TYPE_CHECKING:
    from .loading import LoadedModel

BATCH, LONGEST = 32, 512  # texts per batch, tokens per text


def scored(loaded: "LoadedModel", texts: list[str]) -> Iterator[tuple[dict[str, float], int]]:
    """Yield every label's score, the highest first, with the tokens that were read; a longer text is truncated."""
    from .generation import padded_logits

    ids = loaded.tokenizer(texts, truncation=True, max_length=min(LONGEST, loaded.context))["input_ids"]
    logits = padded_logits(loaded, ids)
    several = loaded.model.config.problem_type == "multi_label_classification" or len(loaded.labels) == 1
    scores = logits.sigmoid() if several else logits.softmax(-1)
    for row, tokens in zip(scores.tolist(), ids, strict=True):
        ranked = sorted(zip(loaded.labels, row, strict=True), key=lambda item: -item[1])
        yield {label: round(score, 6) for label, score in ranked}, len(tokens)


def classify(loaded: "LoadedModel", lines: Iterable[str]) -> Iterator[list[tuple[str, dict[str, float], int]]]:
    """Yield the scores batch by batch."""
    rows = map(json.loads, lines)
    while batch := list(islice(rows, BATCH)):
        found = scored(loaded, [row["text"] for row in batch])
        yield [(row["key"], scores, tokens) for row, (scores, tokens) in zip(batch, found, strict=True)]


def main() -> None:
    """Load the model, and answer until the input ends. Output of libraries goes to stderr."""
    out = os.fdopen(os.dup(1), "w", encoding="utf-8")
    os.dup2(2, 1)
    import torch

    from .loading import load

    reference = ModelReference(**json.loads(sys.argv[1]))
    loaded = load(reference, "classification")
    heads = loaded.model.config.architectures or []
    if reference.kind != "classification" and not any(head.endswith("ForSequenceClassification") for head in heads):
        raise SystemExit(f"{reference.name} is not a classifier ({', '.join(heads)}): its scores would be random")
    with torch.inference_mode():
        for batch in classify(loaded, sys.stdin):
            out.write(json.dumps(batch) + "\n")
            out.flush()


if __name__ == "__main__":
    main()
