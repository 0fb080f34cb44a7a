"""ShareGPT conversations: turns said by `human` and `gpt`.

    {"system": "Be record_type.", "conversations": [{"from": "human", "value": "I failed my exam."},
                                             {"from": "gpt", "value": "That hurts. What happened?"}]}

`train` and `weight` on a turn mean what they mean for the messages converter; other keys of a turn are refused.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from ...schemas.options import Text
from ..reading.records import Drop, Record, Row
from . import messages

VERSION = 1
RECORD_TYPES = ("chat",)
INPUT = "values"
STATELESS = True

ROLES = {
    "human": "user", "user": "user", "gpt": "assistant", "chatgpt": "assistant", "bing": "assistant", "bard": "assistant",
    "model": "assistant", "assistant": "assistant", "system": "system", "tool": "tool", "observation": "tool",
}  # fmt: skip


def convert(
    rows: Iterable[Row],
    record_type: str = "chat",
    *,
    conversations_key: Annotated[Text, "Key of the list of turns."] = "conversations",
    from_key: Annotated[Text, "The key of a turn's speaker."] = "from",
    value_key: Annotated[Text, "The key of a turn's text."] = "value",
    system_key: Annotated[Text, "The key of the row's system prompt."] = "system",
    keep_meta: Annotated[Iterable[str], "Keys of the row to keep in meta."] = (),
    last_only: Annotated[bool, "Train only the last assistant message."] = False,
) -> Iterator[Record | Drop]:
    """One chat record a row."""
    keys = {"messages_key": conversations_key, "role_key": from_key, "content_key": value_key}
    found = messages.convert(rows, record_type, **keys, keep_meta=keep_meta, last_only=last_only)
    for item in found:
        if isinstance(item, Drop):
            yield item
            continue
        turns = [{**turn, "role": role(turn["role"])} for turn in item.fields["messages"]]
        if system := item.row.value.get(system_key):
            turns.insert(0, {"role": "system", "content": system})
        yield item._replace(fields={"messages": turns})


def role(name: Any) -> Any:
    """The chat role of a ShareGPT speaker; an unknown one comes back as it is, to be refused by name."""
    return ROLES.get(name.lower(), name) if isinstance(name, str) else name
