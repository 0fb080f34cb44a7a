"""The same question several times: how often a model gives an answer shows how sure it is (introspection).

A row of subtitles.csv, `name,chinese,english`, is requested `runs` times, each with its own seed. Every reply becomes a raw run for the
introspection converter, which merges the runs of a question:

    {"run_number": 1, "question_id": "sample_00000021", "chinese_text": "你是真心愿意跟小川在一起？",
     "raw_model_output": "love | affection", "parsed_emotions": ["Love", "Affection"], ...}

Blank texts are dropped: in the source, the model asked for the missing text, and its words were counted as emotions.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from ....converters.reading.records import Drop, Row
from ....converters.sources.emotion_words import is_refusal, parse_emotions
from ....schemas.options import Positive, Text
from ....schemas.prompts import Prompt
from ...providers.requests import Request, messages
from ..outcomes import Passthrough, Rejected, Rows

VERSION = 2
REFUSALS_ARE_ANSWERS = True  # it names no emotion: without it, the shares of the others would be too high


def requests(
    rows: Iterable[Row],
    prompt: Prompt | None,
    seed: int,
    *,
    runs: Annotated[Positive, "How often each question is asked."] = 10,
    id_key: Annotated[Text, "The key of the row's name."] = "name",
    text_key: Annotated[Text, "The key of the row's text: `{text}`."] = "chinese",
) -> Iterator[Request | Passthrough | Drop]:
    """Yield `runs` requests per row; a drop for a row without a name or a text, or with a repeated name."""
    assert prompt is not None, "a rule asks for it"
    seen: set[str] = set()
    for row in rows:
        value = row.value if isinstance(row.value, dict) else {}
        identity, text = value.get(id_key), value.get(text_key)
        if not isinstance(identity, str) or not identity.strip():
            yield Drop(row, "no_name", f"{id_key} is missing or blank")
        elif not isinstance(text, str) or not text.strip():
            yield Drop(row, "empty_text", f"{identity}: {text_key} is missing or blank", filtered=True)
        elif identity in seen:
            yield Drop(row, "name_twice", identity)
        else:
            seen.add(identity)
            places = {key: str(item) for key, item in value.items() if item is not None}
            asked = messages(prompt, {**places, "text": text})
            for run in range(runs):
                yield Request(row, asked, run, {"run_number": run + 1, "question_id": identity, "chinese_text": text})


def parse_reply(request: Request, reply: str, **options: Any) -> Rows | Rejected:
    """Return one raw run. A refusal has no words: the converter counts it as a run without emotions."""
    words = [] if is_refusal(reply) else parse_emotions(reply)
    return Rows([{**request.about, "parsed_emotions": words, "raw_model_output": reply}], reply)
