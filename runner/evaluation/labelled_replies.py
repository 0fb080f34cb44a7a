"""Generated replies as labels: which of evaluation.labels a reply is, and the commonest label of the training rows as a baseline."""

import json
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from .metrics import Case, Classified

INVALID = -1
_AROUND = " \t\n\r.,;:!?\"'`*“”‘’«»()[]。！？，；："


def label_index(reply: str, labels: Sequence[str]) -> int:
    """The place of the label that the reply is, or INVALID. Case, quotes and punctuation around it do not count; other words do."""
    given = reply.strip(_AROUND).casefold()
    return next((index for index, label in enumerate(labels) if label.strip(_AROUND).casefold() == given), INVALID)


def classified(case: Case, labels: Sequence[str]) -> Classified:
    """The case as a classified row; its true fraction is meta.fraction."""
    fraction = case.meta.get("fraction")
    truth = label_index(case.reference, labels)
    return Classified(case.id, truth, label_index(case.reply, labels), len(labels), fraction=fraction)


def majority_label(train: Iterable[dict[str, Any]], labels: Sequence[str]) -> int:
    """The place of the label that most training replies are; the first of several."""
    counts = Counter(label_index(row["messages"][-1]["content"], labels) for row in train)
    return max(range(len(labels)), key=lambda index: counts[index])


def label_columns(models: dict[str, list[Case]], labels: Sequence[str], train: Path) -> dict[str, list[Classified]]:
    """Every model's replies as labels, with the majority baseline. Rows whose own reply is no label are left out."""
    columns = {model: [row for case in cases if (row := classified(case, labels)).truth >= 0] for model, cases in models.items()}
    with train.open(encoding="utf-8") as stream:
        commonest = majority_label(map(json.loads, stream), labels)
    first = next(iter(columns.values()))
    return {**columns, "majority": [row._replace(predicted=commonest) for row in first]}


def label_table(columns: dict[str, list[Classified]], labels: Sequence[str], model: str) -> list[list[int]]:
    """Rows by true label (down) and the label of the model's reply (across), with a last column for invalid replies."""
    counts = Counter((row.truth, row.predicted) for row in columns[model])
    return [[counts[truth, given] for given in (*range(len(labels)), INVALID)] for truth in range(len(labels))]
