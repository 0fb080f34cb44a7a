"""LMSYS-Chat-1M: conversations of people with many models, with the language and moderation of every message.

    {"conversation_id": "...", "model": "vicuna-13b", "conversation": [{"content": "Hi", "role": "user"}, ...], "turn": 1,
     "language": "English", "openai_moderation": [{"categories": {...}, "category_scores": {...}, "flagged": false}], "redacted": false}

The dataset is gated: accept its licence on the hub and download its Parquet files. Rows are filtered only by the options.
"""

from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, Any

from ...schemas.options import Positive, Text
from ..reading.records import Drop, Record, Row
from . import messages

VERSION = 3
RECORD_TYPES = ("chat",)
INPUT = "values"
STATELESS = True
SIGNATURES = ({"conversation", "conversation_id", "openai_moderation"},)
UNUSED_KEYS = ("turn", "openai_moderation", "language", "redacted", "model", "conversation_id")  # read by options only

KEPT = ("conversation_id", "language")


def convert(
    rows: Iterable[Row],
    record_type: str = "chat",
    *,
    languages: Annotated[Sequence[Text], "Keep conversations in these languages (English, German, ...). Default: all."] = (),
    models: Annotated[Sequence[Text], "Keep conversations with these models. Default: all."] = (),
    drop_flagged: Annotated[bool, "Drop conversations with a message that the moderation flagged."] = False,
    drop_redacted: Annotated[bool, "Drop conversations in which names were replaced (NAME_1)."] = False,
    max_turns: Annotated[Positive | None, "Drop conversations with more questions than this."] = None,
    keep_meta: Annotated[Iterable[str], "Keys of the row to keep in meta, in addition to conversation_id and language."] = (),
    last_only: Annotated[bool, "Train only the last assistant message."] = False,
) -> Iterator[Record | Drop]:
    """Yield one chat record per conversation, or a drop if a filter applies."""
    wanted = {"language": languages, "model": models}
    for row in rows:
        value = row.value if isinstance(row.value, dict) else {}
        drop = _filtered(row, value, wanted, max_turns)
        drop = drop or (_moderated(row, value) if drop_flagged else None) or (_redacted(row, value) if drop_redacted else None)
        if drop:
            yield drop
        else:
            yield from messages.convert([row], record_type, messages_key="conversation", keep_meta=(*KEPT, *keep_meta), last_only=last_only)


def _filtered(row: Row, value: dict[str, Any], wanted: dict[str, Sequence[str]], max_turns: int | None) -> Drop | None:
    for key, values in wanted.items():
        found = value.get(key)
        if values and not isinstance(found, str):
            return Drop(row, f"no_{key}", f"{key} is {'missing' if found is None else 'not text'}")
        if values and found not in values:
            return Drop(row, f"other_{key}", str(found)[:40], filtered=True)
    turns = value.get("conversation")
    if max_turns and isinstance(turns, list):
        asked = sum(isinstance(turn, dict) and turn.get("role") == "user" for turn in turns)
        if asked > max_turns:
            return Drop(row, "too_many_turns", f"{asked}, at most {max_turns} allowed", filtered=True)
    return None


def _redacted(row: Row, value: dict[str, Any]) -> Drop | None:
    if value.get("redacted") is True:
        return Drop(row, "redacted", filtered=True)
    return None if value.get("redacted") is False else Drop(row, "no_redacted", "redacted is missing")


def _moderated(row: Row, value: dict[str, Any]) -> Drop | None:
    """Return a drop for a conversation that was flagged, or whose moderation is unknown."""
    moderation = value.get("openai_moderation")
    flags = [found.get("flagged") if isinstance(found, dict) else None for found in moderation] if isinstance(moderation, list) else []
    if not flags or any(not isinstance(flag, bool) for flag in flags):
        return Drop(row, "no_moderation", "openai_moderation does not say of every message whether it was flagged")
    return Drop(row, "flagged", f"message {flags.index(True) + 1}", filtered=True) if any(flags) else None
