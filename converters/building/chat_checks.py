"""What makes a record valid beyond its JSON Schema, in words that a person can act on."""

from operator import itemgetter
from typing import Any

from ...schemas.sections import RecordType
from ...schemas.validation import validator

_MAY_FOLLOW = {None: ("user",), "user": ("assistant",), "assistant": ("user", "tool"), "tool": ("assistant", "tool")}


_TURNS = ["user", "assistant"] * 500
_TEXT = {str}
_ROLE, _CONTENT, _FIRST = itemgetter("role"), itemgetter("content"), itemgetter(0)
# What a text may start with that is blank: white space as Python and as the schema see it.
_BLANK = {"\ufeff", *(character for character in map(chr, range(0x3001)) if character.isspace())}


def plain_contents(messages: list[dict[str, Any]], turns: list[dict[str, Any]]) -> list[str]:
    """The contents of what nearly every chat is: valid, of role and content alone, user and assistant by turns.

    `turns` are the messages after a system message. An empty list says nothing: then record_fault decides. The schema is the contract;
    this is a short cut to its yes, at a third of the cost (a test compares the two on whatever hypothesis can think of).
    """
    count = len(turns)
    if count % 2 or not 0 < count < 1000:
        return []
    try:
        contents = [*map(_CONTENT, messages)]
        if [*map(_ROLE, turns)] != _TURNS[:count] or {*map(type, contents)} != _TEXT:
            return []
        if sum(map(len, messages)) != 2 * len(messages):  # each has both keys: then a further one is too many
            return []
        return contents if _BLANK.isdisjoint(map(_FIRST, contents)) or not any(map(_may_be_blank, contents)) else []
    except (KeyError, TypeError, IndexError):  # IndexError: an empty content
        return []


def _may_be_blank(content: str) -> bool:
    return content.isspace() or "\ufeff" in content


def record_fault(record_type: RecordType, fields: dict[str, Any]) -> tuple[str, str] | None:
    """Why the fields are not a record of this type, as (reason, detail); None when they are."""
    candidate = {"id": "-", **fields}
    if not validator(record_type).is_valid(candidate):
        return _schema_fault(record_type, candidate)
    return _chat_fault(fields["messages"]) if record_type == "chat" else None


def _chat_fault(messages: list[dict[str, Any]]) -> tuple[str, str] | None:
    """Roles alternate after one optional system message, the assistant has the last word, and something is trained."""
    before = None
    for index, message in enumerate(messages):
        role = message["role"]
        if role == "system":
            if index:
                return "system_not_first", f"messages[{index}] is a system message"
            continue
        if role not in _MAY_FOLLOW[before]:
            return "roles_do_not_alternate", f"messages[{index}]: {role} after {before or 'the start'}"
        before = role
    if before != "assistant":
        return "last_not_assistant", f"the last message is from {before or 'the system'}"
    if not any(message.get("train", message["role"] == "assistant") for message in messages):
        return "nothing_trained", "every message has train: false"
    return None


def _schema_fault(record_type: RecordType, record: dict[str, Any]) -> tuple[str, str]:
    """The first schema error as a reason. Hand-written, since jsonschema's words name no row and no remedy."""
    if record_type == "chat":
        return _first_chat_error(record.get("messages"))
    for key in ("text", "label") if record_type == "classification" else ("text",):
        value = record.get(key)
        if not isinstance(value, str):
            return f"no_{key}", f"{key} is {_kind(value)}"
        if _is_blank(value):
            return f"empty_{key}", ""
    unknown = sorted(set(record) - {"id", "text", "label", "meta"})
    return "unknown_key", f"{unknown}"


def _first_chat_error(messages: Any) -> tuple[str, str]:
    if not isinstance(messages, list) or not messages:
        return "no_messages", f"messages is {_kind(messages)}"
    for index, message in enumerate(messages):
        role, content = (message.get("role"), message.get("content")) if isinstance(message, dict) else (None, None)
        if role not in ("system", "user", "assistant", "tool"):
            return (
                "unknown_role",
                f"messages[{index}].role is {role!r}; known are system, user, assistant and tool (the option roles maps others)",
            )
        if not isinstance(content, str):
            return "content_not_text", f"messages[{index}].content is {_kind(content)}"
        if _is_blank(content):
            return "empty_content", f"messages[{index}] ({role}) is blank"
    return ("one_message", "a chat needs a question and an answer") if len(messages) < 2 else ("too_long", f"{len(messages)} messages")


def _is_blank(text: str) -> bool:
    """As the schemas' pattern sees it: white space of Python's and of JavaScript's, which differ."""
    return not text.replace("\ufeff", "").strip()


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "missing"}
    return names.get(type(value), "a number")
