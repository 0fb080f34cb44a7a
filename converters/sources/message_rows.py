"""Join rows of one message each into conversations."""

import re
from collections.abc import Callable, Generator, Iterable
from typing import Any

import orjson

from ..reading.records import Drop, Row, joined
from .message_order import best_branch, branch, out_of_order

_ROUNDED = re.compile(r"\d(?:\.\d+)?E\+\d+")  # how Excel shows a number of more than eleven digits


def grouped(rows: Iterable[Row], conversation_key: str | None, content_key: str) -> Generator[Drop, None, list[list[Row]]]:
    """Return the rows of one message each by conversation, in the order in which these begin."""
    found: dict[Any, list[Row]] = {}
    for row in rows:
        value = row.value
        if conversation_key and isinstance(value, dict) and _ROUNDED.fullmatch(str(value.get(conversation_key))):
            yield Drop(
                row, "rounded_id", f"{conversation_key!r} is {value[conversation_key]}: Excel has rounded it; export the column as text"
            )
            continue
        if not isinstance(value, dict) or (conversation_key and value.get(conversation_key) in (None, "")):
            yield Drop(row, "no_conversation", f"expected an object with {conversation_key or content_key!r}")
            continue
        identity = orjson.dumps(value[conversation_key], default=str) if conversation_key else row.file
        found.setdefault(identity, []).append(row)
    return [*found.values()]


def best_branches(conversations: list[list[Row]], is_reply: Callable[[dict[str, Any]], bool]) -> Generator[Drop, None, list[list[Row]]]:
    """Return the best branch of each tree, up to its last reply."""
    kept: list[list[Row]] = []
    for parts in conversations:
        way = best_branch([part.value for part in parts])
        yield from (Drop(part, "other_branch", filtered=True) for at, part in enumerate(parts) if at not in {*way})
        end = max((number for number, at in enumerate(way, 1) if is_reply(parts[at].value)), default=0)
        yield from (Drop(parts[at], "no_reply", filtered=True) for at in way[end:])
        kept += [[parts[at] for at in way[:end]]] if end else []
    return kept


def no_trees(rows: Iterable[Row]) -> Generator[Drop, None, list[Row]]:
    """Refuse every row, as one that is a whole conversation, and return none."""
    why = "best_branch is for rows of one message each: set conversation_key or conversation_per_file"
    yield from (Drop(row, "no_conversation", why) for row in rows)
    return []


def joined_conversations(
    found: list[list[Row]],
    conversation_key: str | None,
    messages_key: str,
    turn_keys: tuple[str, str],
    system_key: str,
    kept: tuple[str, ...],
) -> Generator[Drop, None, list[Row]]:
    """Return a row per conversation, whose messages are its rows."""
    conversations = []
    for parts in found:
        values = [part.value for part in parts]
        read = (*turn_keys, "train", "weight", "loss")
        turns = [{key: value.get(key) for key in read if key in value or key in turn_keys} for value in values]
        meta = {key: _one_or_all([value[key] for value in values if key in value]) for key in kept if any(key in value for value in values)}
        systems = [system for value in values if (system := value.get(system_key))]
        row = joined(parts, meta | ({system_key: systems[0]} if systems else {}) | {messages_key: turns})
        if len(files := {part.file: None for part in parts}) > 1:
            where = f"{conversation_key} {values[0][conversation_key]!r} is in {' and '.join(files)}"
            detail = f"{where}: give every conversation a value of its own"
            yield Drop(row, "conversation_in_two_files", detail)
        elif key := out_of_order(values):
            yield Drop(row, "not_in_order", f"the rows of the conversation are not in the order of {key!r}: sort them")
        elif place := branch(values):
            yield Drop(row, "branches", f"message {place}: set best_branch, or make each branch of the tree a conversation")
        elif any(system != systems[0] for system in systems):
            yield Drop(row, "two_system_prompts", "the rows of the conversation have different system prompts")
        else:
            conversations.append(row)
    return conversations


def _one_or_all(found: list[Any]) -> Any:
    """Return the value that the rows of a conversation have, or the list of their different values."""
    different = [*{orjson.dumps(value, default=str): value for value in found}.values()]
    return different if len(different) > 1 else different[0]
