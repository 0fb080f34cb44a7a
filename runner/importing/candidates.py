"""List ways to read rows, the most specific first: by keys that only one source has, as chats, as tables."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

import orjson

from ...converters.building.key_meanings import EARLIER
from ...converters.sources.key_paths import is_path
from ...converters.sources.message_order import branch
from ...converters.sources.messages import rows_of_lists
from ...converters.sources.registry import CONVERTERS, converter, recognise_rows, signatures
from .annotations import annotated
from .candidate import ENOUGH_OF_ONE_FORM, Candidate, changed
from .chat_logs import logs_of_rows
from .columns import (
    ASSISTANT,
    SYSTEM,
    TEXT,
    USER,
    Columns,
    folded,
)  # fmt: skip
from .nested import all_levels, lists_within, most_words_are_elsewhere, one_level
from .speakers import KNOWN, SYNONYMS, chat_roles, unread_keys
from .table_candidates import labelled_within, tables_of, turns_note

_ONE_CHAT = ("prompt", "completion")  # columns of messages that belong together
_LIST = re.compile(r'\s*\[\s*\{\s*"')  # of messages, in a cell
_NUMBER = re.compile(r"\d+(?=\.)")  # at the end of a step
_PRINTED = re.compile(r"\s*\[\s*\{'(?:role|content|from|value)'")  # the same as Python prints it
ROLES = ("role", "from", "speaker", "author", "sender_type", "author_type", "sender", "participant", "interlocutor")
TURN_NUMBERS = ("turn", "turn_id", "turn_index", "turn_idx", "turn_number", "message_index", "utterance_idx", "utterance_index")
LONGEST_PROMPT = 40  # characters shown
CONTENTS = ("content", "value", "text", "message", "utterance", "body", "parts", "contentparts")


def candidates(rows: list[dict[str, Any]]) -> Iterator[Candidate]:
    """Yield the candidates for rows with keys."""
    columns = Columns(rows)
    keys = set(columns.names)
    for name in CONVERTERS:
        for signature in signatures(name):
            if signature <= keys:
                why = f"rows have {', '.join(sorted(signature))}"
                yield Candidate(name, converter(name).RECORD_TYPES[0], {}, why, ENOUGH_OF_ONE_FORM)
    for name in CONVERTERS:
        if why := recognise_rows(name, rows):
            yield Candidate(name, converter(name).RECORD_TYPES[0], {}, why, ENOUGH_OF_ONE_FORM)
    flat = Columns(one_level(rows))
    yield from annotated(flat)
    lists = [*_chats(rows, columns)]
    yield from (one._replace(doubt=len(lists) > 1) for one in lists)  # of two answers to one question, say
    yield from _other_chats(columns)
    logs = [*logs_of_rows(rows)]
    yield from logs
    tables = [one for one in tables_of(flat) if not logs or not one.doubt]
    if tables and not logs and all(one.record_type == "text" for one in tables):
        tables = [one._replace(doubt=True) for one in (*tables, *labelled_within(rows, tables[0]))]
    if not tables and len(rows) > 1:
        nested = Columns(all_levels(rows))
        tables = [one for one in tables_of(nested) if not (one.doubt or _is_a_part(one, nested.names))]
        if flat.nested_answers():  # no other column takes their place
            tables = [one for one in tables if one.record_type == "classification" or is_path(one.options.get("assistant_key", ""))]
    within = [*_chats_within(rows)]
    yield from (one for one in tables if (_asks_in(one, within) if within else not _is_beside_texts(one, rows)))
    yield from within


def _asks_in(candidate: Candidate, chats: list[Candidate]) -> bool:
    """Return whether the candidate's questions are the messages of such chats, so that it reads more than these."""
    lists = [one.options.get("messages_key", one.options.get("conversations_key")) for one in chats]
    return any(candidate.options.get("user_key", "").startswith(f"{name}[]") for name in lists)


def _chats_within(rows: list[dict[str, Any]]) -> Iterator[Candidate]:
    """Yield candidates for lists of messages within objects: `chat.messages`."""
    found = [lists_within(row) for row in rows]
    chats = [*_chats(found, Columns(found))] if any(found) else []
    yield from (one._replace(doubt=len(chats) > 1) for one in chats)


def _is_a_part(candidate: Candidate, names: list[str]) -> bool:
    """Return whether the candidate reads one of several turns: the first of those that are numbered (`chat.turn_1.Human` of MOSS), or the
    text of a message within the rows, with its role beside it."""
    read = [value for key, value in candidate.options.items() if key.endswith("_key")]
    if any(_NUMBER.sub("#", name) == _NUMBER.sub("#", path) for path in read if _NUMBER.search(path) for name in names if name != path):
        return True
    path = candidate.options.get("text_key", "") if candidate.record_type != "chat" else ""
    steps = path.split(".")
    return any(".".join([*steps[:end], "role"]).removesuffix("[]") in names for end in range(len(steps)))


def _is_beside_texts(candidate: Candidate, rows: list[dict[str, Any]]) -> bool:
    """Return whether the candidate reads a title or a summary, or two, and not the texts in lists and objects beside them."""
    options = candidate.options
    if candidate.record_type == "chat":
        keys = [options.get("user_key", "user"), options.get("assistant_key", "assistant")]
        return folded(keys[1]) not in ASSISTANT and most_words_are_elsewhere(rows, keys)
    keys = [options.get("text_key", "text")]
    return candidate.record_type == "text" and folded(keys[0]) not in TEXT and most_words_are_elsewhere(rows, keys)


def _chats(rows: list[dict[str, Any]], columns: Columns) -> Iterator[Candidate]:
    for key in sorted(columns.names, key=lambda key: (key not in ("messages", "conversations"), key)):
        chats = [found for row in rows if (found := _turns(row.get(key)))]
        if not chats:
            if any(_PRINTED.match(row[key]) for row in rows if isinstance(row.get(key), str)):
                yield Candidate("messages", "chat", changed(messages_key=(key, "messages")), f"{key} has messages", ENOUGH_OF_ONE_FORM)
            continue
        role, content = _role(chats[0][0]), _content(chats[0][0])
        if not role or not content or isinstance(chats[0][0][role], dict) or key in _ONE_CHAT and {*_ONE_CHAT} <= {*columns.names}:
            continue
        if folded(key) in EARLIER and columns.texts or len(rows) == 1 and _is_log(chats[0], role):
            continue  # what was said before the question; a log, which has pauses
        if folded(key).removesuffix("s") in ASSISTANT and not any(_has_known_role(chat, role) for chat in chats):
            continue  # several people's answers to a question
        system, extra = columns.named(SYSTEM), unread_keys((turn for chat in chats for turn in chat), (role, content))
        named, why = chat_roles(([turn.get(role) for turn in chat if isinstance(turn, dict)] for chat in chats), share_gpt=role == "from")
        why += _system_prompts(
            turn.get(content) for chat in chats for turn in chat if isinstance(turn, dict) and turn.get(role) == "system"
        )
        if role == "from":
            options = changed(
                conversations_key=(key, "conversations"), value_key=(content, "value"), roles=(named, None), system_key=(system, "system"),
                ignore_message_keys=(extra or None, None),
            )  # fmt: skip
            yield Candidate("sharegpt", "chat", options, f"{key} is a list of turns with from and {content}{why}", ENOUGH_OF_ONE_FORM)
        else:
            options = changed(
                messages_key=(key, "messages"), role_key=(role, "role"), content_key=(content, "content"), roles=(named, None),
                system_key=(system, "system"), ignore_message_keys=(extra or None, None),
            )  # fmt: skip
            yield Candidate("messages", "chat", options, f"{key} is a list of messages with {role} and {content}{why}", ENOUGH_OF_ONE_FORM)


def _other_chats(columns: Columns) -> Iterator[Candidate]:
    yield from _one_message_per_row(columns)
    keys = set(columns.names)
    if {"prompt", "completion"} <= keys:
        yield Candidate("prompt_completion", "chat", {}, "rows have prompt and completion" + turns_note(columns, "prompt"))
    if {"instruction", "output"} <= keys:
        yield Candidate("alpaca", "chat", {}, "rows have instruction and output" + turns_note(columns, "instruction"))
    user, assistant = columns.named(USER), columns.named(ASSISTANT)
    if user and assistant and "history" in keys:
        yield Candidate("alpaca", "chat", {"instruction_key": user, "output_key": assistant},
                        f"rows have {user}, {assistant} and a history of earlier turns")  # fmt: skip


def _system_prompts(contents: Iterable[Any]) -> str:
    """Return a note on system messages, which may be a program's own: `Chat started`."""
    prompts = Counter(content for content in map(str, contents) if content.strip())
    if not prompts:
        return ""
    first = prompts.most_common(1)[0][0]
    shown = first if len(first) <= LONGEST_PROMPT else first[:LONGEST_PROMPT].rsplit(" ", 1)[0] + " …"
    return f"; system prompts ({prompts.total():,}), e.g. {shown!r}"


def _one_message_per_row(columns: Columns) -> Iterator[Candidate]:
    """Yield candidates for rows with a role, a content and the id of their conversation."""
    role, content = columns.named(ROLES), columns.named(CONTENTS)
    number = columns.named(TURN_NUMBERS)
    if not role and number and content and not columns.named(ASSISTANT):
        for group in columns.groups(columns.names):
            options = changed(conversation_key=(group, None), content_key=(content, "content"))
            why = f"each row is a message of the conversation {group}, the {number} is its place, and no column names its speaker"
            yield Candidate("messages", "chat", options, why, ENOUGH_OF_ONE_FORM)
    if role and content and not columns.groups(columns.names) and _are_roles(columns.values(role)):
        named, why = chat_roles([columns.values(role)])
        options = changed(role_key=(role, "role"), content_key=(content, "content"), roles=(named, None)) | {"conversation_per_file": True}
        yield Candidate("messages", "chat", options, f"each row is a message of the file's conversation{why}", ENOUGH_OF_ONE_FORM)
    if role and content and columns.is_label(role):
        for group in columns.groups(columns.names):
            chats: dict[Any, list[dict[str, Any]]] = {}
            for row in columns.rows:
                chats.setdefault(row.get(group), []).append(row)
            named, why = chat_roles([row.get(role) for row in chat] for chat in chats.values())
            options = changed(
                conversation_key=(group, None), role_key=(role, "role"), content_key=(content, "content"), roles=(named, None)
            )
            if any(map(branch, chats.values())):
                options, why = {**options, "best_branch": True}, f"{why}; of several replies the best by rank, or the first, is followed"
            yield Candidate("messages", "chat", options, f"each row is a message of the conversation {group}{why}")


def _turns(value: Any) -> list[dict[str, Any]] | None:
    """Return the turns of a cell, which may contain them as JSON text."""
    if isinstance(value, str) and _LIST.match(value):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
    if isinstance(value, dict):
        value = rows_of_lists(value)
    return value if isinstance(value, list) and value and isinstance(value[0], dict) else None


def _are_roles(names: list[Any]) -> bool:
    """Return whether a column has the roles of a chat, and two of them at least."""
    found = {str(name).lower() for name in names}
    return len(found) > 1 and found <= {*SYNONYMS, *KNOWN}


def _is_log(chat: list[Any], role: str) -> bool:
    """Return whether the messages of a file are the log of a messenger: dated, by people."""
    turns = [turn for turn in chat if isinstance(turn, dict)]
    return not _has_known_role(chat, role) and any(logs_of_rows(turns))


def _has_known_role(chat: list[Any], role: str) -> bool:
    return any(str(turn.get(role)).lower() in (*SYNONYMS, *KNOWN) for turn in chat if isinstance(turn, dict))


def _role(turn: dict[str, Any]) -> str | None:
    """Return the key of a message's role; of LangChain's messages it is the type."""
    return _first((*ROLES, "is_human", "is_user"), turn) or ("type" if str(turn.get("type")).lower() in (*SYNONYMS, *KNOWN) else None)


def _content(turn: dict[str, Any]) -> str | None:
    """Return the key of a message's content: of several, the first that holds a text and not its parts."""
    found = [key for name in CONTENTS if (key := _first((name,), turn))]
    return next((key for key in found if isinstance(turn[key], str)), next(iter(found), None))


def _first(names: tuple[str, ...], keys: Any) -> str | None:
    """Return the first of the names among the keys, ignoring case."""
    lowered = {str(key).lower().strip(): key for key in keys}
    return next((lowered[name] for name in names if name in lowered), None)
