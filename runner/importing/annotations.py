"""Recognise texts that an annotator accepted, rejected or skipped, as Prodigy writes them.

    {"text": "It broke.", "label": "COMPLAINT", "answer": "accept"}

Rows that were not accepted have no label, and are left out and counted. If all rows have the same label, a rejected one is its opposite.
"""

from collections import Counter
from collections.abc import Iterator
from typing import Any

from ...schemas.base.counted import listed
from .candidate import Candidate, changed
from .columns import TEXT, Columns

_ACCEPTED, _REJECTED, _SKIPPED = "accept", "reject", "ignore"
_LABELS = ("label", "label[]", "accept[]")  # the last one is that of a choice among options


def annotated(columns: Columns) -> Iterator[Candidate]:
    """Yield the candidate for rows with an annotator's answer."""
    answers = Counter(map(str, columns.values("answer")))
    text = columns.named(TEXT)
    label = next((name for name in _LABELS if name in columns.names), None)
    if not answers or not answers.keys() <= {_ACCEPTED, _REJECTED, _SKIPPED} or not text or not label:
        return
    options: dict[str, Any] = changed(text_key=(text, "text"), label_key=(label, "label"))
    kept, why = [_ACCEPTED], f"column {label} is the label of texts that an annotator accepted"
    different = {str(value) for value in columns.values(label)}
    if len(different) == 1 and answers[_ACCEPTED] and answers[_REJECTED]:
        (only,) = different
        options |= {"label_key": "answer", "label_names": {_ACCEPTED: only, _REJECTED: f"not {only}"}}
        kept, why = [_ACCEPTED, _REJECTED], f"column answer says whether a text is {only}"
    if left := {answer: count for answer, count in answers.most_common() if answer not in kept}:
        why += f"; left out: {listed(left)}"
    yield Candidate("table", "classification", {**options, "keep_rows": {"answer": kept}}, why)
