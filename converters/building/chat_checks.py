"""Check what makes a record valid beyond its JSON Schema, in words that a user can act on."""

from operator import itemgetter
from typing import Any

from ...schemas.sections import RecordType
from ...schemas.validation import validator

_MAY_FOLLOW = {None: ("user",), "user": ("assistant",), "assistant": ("user", "tool"), "tool": ("assistant", "tool")}


_TURNS = ["user", "assistant"] * 500
_TEXT = {str}
_ROLE, _CONTENT = itemgetter("role"), itemgetter("content")


def plain_contents(messages: list[dict[str, Any]], turns: list[dict[str, Any]]) -> list[str]:
    """Return the contents of an ordinary chat: only roles and contents, with user and assistant alternating. It is valid if no content is
    blank.

    `turns` are the messages after a system message. An empty list decides nothing: record_fault does. The schema is the contract; this is a
    shortcut for valid chats at a third of the cost (a hypothesis test compares the two).
    """
    count = len(turns)
    if count % 2 or not 0 < count < 1000:
        return []
    try:
        contents = [*map(_CONTENT, messages)]
        if [*map(_ROLE, turns)] != _TURNS[:count] or {*map(type, contents)} != _TEXT:
            return []
        return contents if sum(map(len, messages)) == 2 * len(messages) else []  # each has both keys, so others have more
    except (KeyError, TypeError):
        return []


def record_fault(record_type: RecordType, fields: dict[str, Any]) -> tuple[str, str] | None:
    """Return why the fields are not a record of this type, as (reason, detail), or None."""
    candidate = {"id": "-", **fields}
    if not validator(record_type).is_valid(candidate):
        return _schema_fault(record_type, candidate)
    return _chat_fault(fields["messages"]) if record_type == "chat" else None


def _chat_fault(messages: list[dict[str, Any]]) -> tuple[str, str] | None:
    """Check that roles alternate after an optional system message, that the assistant speaks last, and that something is trained."""
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
    """Return the first schema error as a reason: jsonschema's messages name neither row nor fix."""
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
                f"messages[{index}].role is {role!r}; use system, user, assistant or tool (the option roles maps others)",
            )
        if not isinstance(content, str):
            return "content_not_text", f"messages[{index}].content is {_kind(content)}"
        if _is_blank(content):
            return "empty_content", f"messages[{index}] ({role}) is blank"
    return ("one_message", "a chat needs a question and an answer") if len(messages) < 2 else ("too_long", f"{len(messages)} messages")


def _is_blank(text: str) -> bool:
    """Return whether the schemas' pattern rejects the text: white space of Python and of JavaScript, which differ."""
    return not text.replace("\ufeff", "").strip()


def _kind(value: Any) -> str:
    names = {dict: "an object", list: "a list", str: "text", bool: "true or false", type(None): "missing"}
    return names.get(type(value), "a number")
