"""Sentences with their emotions, from a local text-classification model (BabyLM: go_emotions).

    {"text": "I can't believe it!", "emotion": "surprise, excitement", "label_0": "surprise", "score_0": 0.93, "label_1": "excitement", ...}

A row is kept if its most likely label has a score above `min_score` and is not excluded; `emotion` lists every label above it, as in the
source. The babylm converter and the task `rewrite` read such rows.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

import orjson

from ....converters.reading.records import Drop, Row
from ....schemas.options import Share, Text
from ....schemas.prompts import Prompt
from ...providers.requests import Request
from ..outcomes import Passthrough, Rejected, Rows

VERSION = 2
REFUSALS_ARE_ANSWERS = True


def requests(
    rows: Iterable[Row],
    prompt: Prompt | None,
    seed: int,
    *,
    read: Annotated[Text, "The key of the text to label."] = "text",
    min_score: Annotated[Share, "Keep rows whose most likely label has a score above this."] = 0.5,
    leave_out: Annotated[Sequence[Text], "Labels whose rows are not kept."] = ("neutral",),
) -> Iterator[Request | Passthrough | Drop]:
    """Yield one request per row; a drop for a row without a text."""
    for row in rows:
        text = row.value.get(read) if isinstance(row.value, dict) else None
        if isinstance(text, str) and text.strip():
            yield Request(row, ({"role": "user", "content": text},), 0, {"value": row.value, "text": text})
        else:
            yield Drop(row, "no_text", f"{read} is missing or blank")


def parse_reply(
    request: Request, reply: str, *, min_score: float = 0.5, leave_out: Sequence[str] = ("neutral",), **options: Any
) -> Rows | Rejected:
    """Return the row with its labels and their scores."""
    scores: dict[str, float] = orjson.loads(reply)
    top = next(iter(scores))
    if top in leave_out:
        return Rejected(f"label_{top}", f"{scores[top]:.3f}", filtered=True)
    if not scores[top] > min_score:
        return Rejected("low_score", f"{top} {scores[top]:.3f}, more than {min_score} required", filtered=True)
    above = [label for label, score in scores.items() if score > min_score and label not in leave_out]
    ranked = {f"{key}_{n}": value for n, label in enumerate(above) for key, value in (("label", label), ("score", scores[label]))}
    value = dict(request.about["value"])
    meta = value.pop("metadata", None)
    source = {"source": meta["source"]} if isinstance(meta, dict) and "source" in meta else {}
    return Rows([{**value, **source, "emotion": ", ".join(above), **ranked}], request.about["text"])
