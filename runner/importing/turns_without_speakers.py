"""Say how to write dialogues as messages whose turns have no speakers, such as lists of texts, or whose reply is a
key of its own, or which the assistant begins."""

import json
import re
from collections import Counter
from itertools import chain
from pathlib import Path
from typing import Any

from ...converters.sources.key_paths import row_for_each
from ...converters.sources.messages import role_names
from .candidate import Candidate
from .columns import ASSISTANT, CONTEXT, SPEAKERS, TEXT, USER, Columns
from .jq import command, step
from .nested import all_levels
from .speakers import SYNONYMS

_NAMED = re.compile(r"dialog|conv|utt|turn|mess|chat|hist|talk|context|^(?:data|content|log)$", re.IGNORECASE)
_SPEAK = {*SPEAKERS, "role", "is_human", "is_user", "message_type", "agent", "incoming"}  # where a message has one, its turn says nothing
_WORDS = 2  # on average: fewer are names, tags or labels
_ASKED, _ANSWERED = ("questions", "queries"), ("answers", "responses")
_KEYS = ("text", "content", "message", "utterance", "body_text", *TEXT)


def hint_for_turns(rows: list[dict[str, Any]], path: Path) -> str:
    """Return the command that writes a key's turns as messages, if most rows have a list of texts there; "" if no key has one."""
    columns = Columns(rows)
    if (asked := _list_of(rows, _ASKED)) and (answered := _list_of(rows, _ANSWERED)):
        pairs = f'[[.{asked}], [.{answered}]] | transpose | map({{role: "user", content: .[0]}}, {{role: "assistant", content: .[1]}})'
        about = columns.named(CONTEXT)
        first = f' | .messages[0].content |= $row.{step(about)} + "\\n\\n" + .' if about and about in columns.texts else ""
        filter_ = f"(arrays[], objects) | . as $row | {{messages: ({pairs})}}{first}"
        return f"write the questions and answers as the turns of a chat: {_to_chats(filter_, path)}"
    answer = columns.named(ASSISTANT)
    for key in filter(_NAMED.search, columns.names):
        if sides := _sides([row.get(key) for row in rows]):
            said = ", ".join(f'{{role: "{role}", content: .{step(side)}}}' for role, side in zip(("user", "assistant"), sides, strict=True))
            filter_ = f"{_items(path)}{{messages: [.{step(key)}[] | {said}]}}"
            return f"write the pairs of {' and '.join(sides)} under {key!r} as messages: {_to_chats(filter_, path)}"
        forms = [_form(row.get(key)) for row in rows]
        if sum(form is not None for form in forms) <= len(rows) / 2:
            continue
        turns = f".{step(key)}[]{next(form for form in forms if form is not None)}"
        if answer:
            turns = ", ".join([turns, *(f".{step(name)}" for name in (columns.named(USER, but=(answer, key)), answer) if name)])
        messages = f'[[{turns}] | to_entries[] | {{role: ["user", "assistant"][.key % 2], content: .value}}]'
        how = _to_chats(f"{_items(path)}{{messages: {messages}}}", path)
        return f"if {key!r} has the turns of a user and an assistant, in this order and nobody else's, write them as messages: {how}"
    return ""


def _list_of(rows: list[dict[str, Any]], names: tuple[str, ...]) -> str:
    """Return the path of a list of texts, one for each turn, that most rows have under one of the names (CoQA); "" if there is none."""
    flat = all_levels(rows)
    for path in dict.fromkeys(path for row in flat for path in row if path.partition(".")[0].removesuffix("[]") in names):
        found = [row[path] for row in flat if isinstance(row.get(path), list)]
        if (
            len(found) > len(rows) / 2
            and all(isinstance(text, str) and " " in text for text in found[0])
            and path.count("[]") == 1
            and row_for_each(path)
        ):
            return path
    return ""


def hint_for_reply(rows: list[dict[str, Any]], options: dict[str, Any], path: Path) -> str:
    """Return the command that adds the reply in a column of its own to the messages; "" if there is no such column."""
    columns = Columns(rows)
    answer = columns.named((*ASSISTANT, "ideal"))
    if not answer or not all(isinstance(value, str) for value in columns.values(answer)):
        return ""
    key, role, content = names = [options.get(f"{name}_key", name) for name in ("messages", "role", "content")]
    if not all(re.fullmatch(r"[\w.]+", name, re.ASCII) for name in (*names, answer)):
        return ""
    filter_ = f'{_items(path)}.{key} += [{{{role}: "assistant", {content}: .{answer}}}] | del(.{answer})'
    return f"if {answer!r} is the reply to them, add it: {_to_chats(filter_, path)}"


def hint_for_greeting(candidate: Candidate, rows: list[dict[str, Any]], path: Path) -> str:
    """Return the command that leaves out what the assistant says before the first question; "" if the chats do not begin so."""
    is_sharegpt = candidate.converter == "sharegpt"
    key = candidate.options.get("conversations_key" if is_sharegpt else "messages_key", "conversations" if is_sharegpt else "messages")
    role = "from" if is_sharegpt else candidate.options.get("role_key", "role")
    meanings = role_names(SYNONYMS, candidate.options.get("roles"))
    chats = [[turn.get(role) for turn in chat if isinstance(turn, dict)] for row in rows if isinstance(chat := row.get(key), list)]
    first = Counter(next((name for name in chat if isinstance(name, str | int) and meanings(str(name)) != "system"), "") for chat in chats)
    greets = [name for name in first if name != "" and meanings(str(name)) == "assistant"]
    if len(greets) != 1:
        return ""
    said_by = f".{step(role)}"
    system = " or ".join(
        f"{said_by} == {json.dumps(name)}" for name in dict.fromkeys(chain(*chats)) if name and meanings(str(name)) == "system"
    )
    filter_ = f"if .[0]{said_by} == {json.dumps(greets[0])} then .[1:] else . end"
    if system:
        filter_ = f"map(select({system})) + (map(select({system} | not)) | {filter_})"
    how = _to_chats(f"{_items(path)}.{step(key)} |= ({filter_})", path)
    return f"a chat begins with the user: to leave out the assistant's greeting, {how}; or give the question that it answers"


def _sides(values: list[Any]) -> tuple[str, str] | None:
    """Return the keys of what is asked and answered in lists of such pairs: `human` and `assistant` in Firefly and MOSS."""
    pairs = [pair for value in values if isinstance(value, list) for pair in value]
    columns = Columns([pair for pair in pairs if isinstance(pair, dict)])
    sides = columns.named(USER) or "", columns.named(ASSISTANT) or ""
    whole = sum(all(isinstance(pair.get(side), str) for side in sides) for pair in columns.rows)
    return sides if all(sides) and whole > len(pairs) / 2 else None


def _form(value: Any) -> str | None:
    """Return what follows a turn in jq's path to its text: "" in a list of texts, `[]` in one of pairs; None if there are no texts."""
    if not isinstance(value, list) or len(value) < 2:
        return None
    form = ""
    if all(isinstance(item, list) for item in value):
        value, form = [text for pair in value for text in pair], "[]"
    elif all(isinstance(item, dict) for item in value):
        key = next((name for name in _KEYS if name in value[0] and not _SPEAK & {*value[0]}), None)
        value, form = [item.get(key) for item in value], f".{key}"
    texts = [item for item in value if isinstance(item, str)]
    return form if len(texts) == len(value) and sum(len(text.split()) for text in texts) >= _WORDS * len(texts) else None


def _to_chats(filter_: str, path: Path) -> str:
    return command(filter_, path.name, "chats.jsonl")


def _items(path: Path) -> str:
    """Return what precedes the object in jq's filter where the file is one array of rows."""
    with path.open("rb") as stream:
        return ".[] | " if stream.read(64).lstrip().startswith(b"[") else ""
