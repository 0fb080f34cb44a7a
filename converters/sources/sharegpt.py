"""ShareGPT conversations: turns from `human` and `gpt`.

    {"system": "Be kind.", "conversations": [{"from": "human", "value": "I failed my exam."},
                                             {"from": "gpt", "value": "That hurts. What happened?"}]}

`train`, `weight` and `loss` on a turn mean the same as for the messages converter; other keys of a turn are refused, unless
`ignore_message_keys` lists them.
"""

from collections.abc import Iterable, Iterator
from typing import Annotated, Any

from ...schemas.options import Text
from ..reading.records import Drop, Record, Row
from . import messages
from .messages import Role

VERSION = 6
RECORD_TYPES = ("chat",)
INPUT = "values"
STATELESS = True

ROLES: dict[str, Role] = {
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
    roles: Annotated[
        dict[str, Role] | None, "Meanings of other role names, case-insensitive: {client: user, counselor: assistant}."
    ] = None,
    ignore_message_keys: Annotated[Iterable[str], "Keys of a turn that are not trained, such as its id and time."] = (),
    keep_meta: Annotated[Iterable[str], "Keys of the row to keep in meta."] = (),
    last_only: Annotated[bool, "Train only the last assistant message."] = False,
) -> Iterator[Record | Drop]:
    """Yield one chat record per row."""
    yield from messages.convert(
        rows, record_type, ROLES, messages_key=conversations_key, role_key=from_key, content_key=value_key, system_key=system_key,
        roles=roles, ignore_message_keys=ignore_message_keys, keep_meta=keep_meta, last_only=last_only,
    )  # fmt: skip


def role(name: Any) -> Any:
    """Return the chat role of a ShareGPT speaker; an unknown one is returned unchanged, to be refused by name."""
    return ROLES.get(name.lower(), name) if isinstance(name, str) else name
