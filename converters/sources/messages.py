"""Chat rows as OpenAI and Hugging Face write them.

    {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"},
                  {"role": "assistant", "content": "Hello!", "train": true}]}

`train` on a message says whether it is trained; without it the recipe's `roles_to_train` decides. OpenAI's `weight` (0 or 1) means
the same. Other keys of a message are refused rather than lost.
"""

from collections.abc import Iterable, Iterator
from functools import partial
from typing import Annotated, Any

from ...schemas.options import Text
from ..reading.records import Drop, Record, Row

VERSION = 1
RECORD_TYPES = ("chat",)
INPUT = "values"
STATELESS = True

_PLAIN = ("role", "content")
_PLAIN_ONLY, _DICT = {_PLAIN}, {dict}


def convert(
    rows: Iterable[Row],
    record_type: str = "chat",
    *,
    messages_key: Annotated[Text, "Key of the list of messages."] = "messages",
    role_key: Annotated[Text, "The key of a message's role."] = "role",
    content_key: Annotated[Text, "The key of a message's text."] = "content",
    keep_meta: Annotated[Iterable[str], "Keys of the row to keep in meta."] = (),
    last_only: Annotated[bool, "Train only the last assistant message."] = False,
) -> Iterator[Record | Drop]:
    """One chat record a row."""
    kept = tuple(keep_meta)
    record = partial(tuple.__new__, Record)  # the plain constructor costs twice as much
    plain = [role_key, content_key] == [*_PLAIN]
    for row in rows:
        value = row.value
        turns = value.get(messages_key) if isinstance(value, dict) else None
        if not isinstance(turns, list) or not turns:
            yield Drop(row, "no_messages", f"expected an object with a list called {messages_key!r}")
            continue
        try:
            is_plain = plain and {*map(type, turns)} == _DICT and {*map(tuple, turns)} == _PLAIN_ONLY
            messages = turns if is_plain else [_message(turn, role_key, content_key) for turn in turns]
        except _UnknownKey as error:
            yield Drop(row, "unknown_message_key", str(error))
            continue
        if last_only:
            messages = [*({**m, "train": False} for m in messages[:-1]), {**messages[-1], "train": True}]
        meta = {key: value[key] for key in kept if key in value} if kept else {}
        if isinstance(value.get("meta"), dict):
            meta = value["meta"] | meta
        yield record((row, {"messages": messages}, meta, ()))


class _UnknownKey(Exception):
    pass


def _message(turn: Any, role_key: str, content_key: str) -> dict[str, Any]:
    if not isinstance(turn, dict):
        return {"role": None, "content": turn}
    message = {"role": turn.get(role_key), "content": turn.get(content_key)}
    for key, value in turn.items():
        if key in (role_key, content_key):
            continue
        if key == "train" and isinstance(value, bool):
            message["train"] = value
        elif key == "weight" and value in (0, 1):
            message["train"] = bool(value)
        elif value is not None:
            raise _UnknownKey(f"a message has {key!r}, which a chat record cannot hold")
    return message
