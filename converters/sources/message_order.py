"""Find out whether messages are one conversation in its order, by the ids, numbers and times that they have, and choose one of a tree."""

import re
from itertools import chain
from math import inf
from typing import Any

_ORDER = (
    *("turn", "turn_id", "turn_index", "turn_idx", "turn_number", "message_index", "utterance_idx", "index", "idx", "seq", "step"),
    *("position", "order", "timestamp", "ts", "created_at", "create_time", "sent_at", "time", "date"),
)
_DATE, _NUMBER = re.compile(r"\d{4}-\d\d-\d\d"), re.compile(r"\d+(\.\d*)?")
_PARENTS = ("parent_id", "parent_message_id", "parent_message_uuid", "parentMessageId", "parentId", "parent")
_IDS = ("message_id", "messageId", "id", "uuid")
_CONVERSATIONS = ("conversation_id", "conversationId", "session_id", "sessionId", "thread_id", "threadId", "topic_id", "topicId", "chat_id")
_OF_ORDER = frozenset((*_PARENTS, *_ORDER, *_CONVERSATIONS))


def out_of_order(values: list[dict[str, Any]]) -> str:
    """Return a key by which the rows of a conversation are numbered or dated in another order than theirs; "" if there is none."""
    for key in _ORDER:
        found: list[Any] = [_place(dict.get(value, key)) for value in values]  # looked at, not read: the key is still named as left out
        if len({*map(type, found)}) == 1 and None not in found and found != sorted(found):
            return key
    return ""


def _place(value: Any) -> float | str | None:
    """Return a number, also one in a table's cell, or a date, by which rows can be sorted; None for any other value."""
    if isinstance(value, str):
        return float(value) if _NUMBER.fullmatch(value) else value if _DATE.match(value) else None
    return float(value) if type(value) in (int, float) else None


def fault_of_order(turns: list[Any]) -> tuple[str, str] | None:
    """Return why a list of messages is no conversation in its order, and the reason: several conversations, branches of a tree, or the
    newest first."""
    objects = [turn for turn in turns if isinstance(turn, dict)]
    if _OF_ORDER.isdisjoint(chain.from_iterable(objects)):
        return None
    for key in _CONVERSATIONS:
        values = {str(value): None for turn in objects if (value := dict.get(turn, key)) not in (None, "")}
        if len(values) > 1:
            return f"{key!r} is {' and '.join(map(repr, [*values][:2]))}: write each conversation as a row", "several_conversations"
    if place := branch(objects):
        return f"message {place}: make each branch of the tree a conversation", "branches"
    for key in _ORDER:
        found: list[Any] = [_place(dict.get(turn, key)) for turn in objects]
        if None not in found and len({*map(type, found)}) == 1 and found[0] > found[-1] and found == sorted(found, reverse=True):
            return f"the messages are in the reverse order of {key!r}: sort them", "newest_first"
    return None


def branch(values: list[dict[str, Any]]) -> str:
    """Return which message of a tree, such as those of OASST, does not answer the one before it; "" if each does."""
    parents, ids = (
        [next((found for key in keys if (found := dict.get(value, key)) is not None), None) for value in values]
        for keys in (_PARENTS, _IDS)
    )
    for number, parent in enumerate(parents):
        if parent is not None and parent in ids and parent != (ids[number - 1] if number else None):
            return f"{ids[number]!r} answers {parent!r}, not the message before it"
    return ""


def best_branch(values: list[dict[str, Any]]) -> list[int]:
    """Return the places of the messages on one way through a tree: after each, the reply with the lowest `rank`, or else the first that was
    answered itself. All places if the messages have several beginnings."""
    ids = [str(next((found for key in _IDS if (found := value.get(key)) is not None), f"message {at}")) for at, value in enumerate(values)]
    known, below = {*ids}, dict[str, list[int]]()
    for at, value in enumerate(values):
        parent = str(next((found for key in _PARENTS if (found := value.get(key)) is not None), ""))
        below.setdefault(parent if parent in known else "", []).append(at)
    ranks = [rank if type(rank := value.get("rank")) in (int, float) else inf for value in values]
    way: list[int] = []
    replies = below.pop("", [])
    if len(replies) != 1:
        return [*range(len(values))]
    while replies:
        way.append(min(replies, key=lambda at: (ranks[at], ids[at] not in below, at)))
        replies = below.pop(ids[way[-1]], [])
    return way
