"""Chat rows in the form of OpenAI and Hugging Face.

    {"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"},
                  {"role": "assistant", "content": "Hello!", "train": true}]}

`train` on a message says whether it is trained; without it, the recipe's `roles_to_train` decides. OpenAI's `weight` (0 or 1) and swift's
`loss` mean the same. A content may be a list of text parts, the list of messages may be JSON text (in a CSV cell) or an object of lists (as
`datasets` writes it), and a system prompt may be in a key of its own. A row may be the list of messages itself. Other keys of a message are
refused, unless `ignore_message_keys` lists them; `rating`, `finish_reason`, `error` and the like only where they say that the message is no
good, also within its `metadata`. If each row is one message, `conversation_key` or `conversation_per_file` says which rows form a
conversation.
"""

from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from contextlib import suppress
from functools import partial
from operator import itemgetter
from typing import Annotated, Any, Literal

from ...schemas.options import Text
from ..reading.json_values import FAULTS, duplicate_key, parse_json
from ..reading.records import Drop, Record, Row
from .key_paths import NoValue, is_path, value_at
from .message_order import fault_of_order
from .message_rows import best_branches, grouped, joined_conversations, no_trees
from .verdicts import VERDICTS, bad_within, is_verdict, said_by

VERSION = 6
RECORD_TYPES = ("chat",)
INPUT = "values"

Role = Literal["system", "user", "assistant", "tool"]
ROLES: dict[str, Role] = {"system": "system", "user": "user", "assistant": "assistant", "tool": "tool"}
_PLAIN = ("role", "content")
_PLAIN_ONLY, _DICT, _TEXT = {_PLAIN}, {dict}, {str}
_ROLE, _CONTENT = itemgetter("role"), itemgetter("content")
_PART = ("type", "text", "cache_control")  # the last says how an API is billed
_TEXTS = (None, "text", "input_text", "output_text")  # the last two are of OpenAI's Responses


def STATELESS(options: dict[str, Any]) -> bool:
    """Return whether rows are independent: a conversation may span several rows."""
    return not options.get("conversation_key") and not options.get("conversation_per_file")


def convert(
    rows: Iterable[Row],
    record_type: str = "chat",
    known: Mapping[str, str] = ROLES,
    *,
    messages_key: Annotated[Text, "Key of the list of messages, also within an object: `chat.messages`."] = "messages",
    role_key: Annotated[Text, "The key of a message's role."] = "role",
    content_key: Annotated[Text, "The key of a message's text."] = "content",
    system_key: Annotated[Text, "The key of a row's system prompt, outside its messages."] = "system",
    roles: Annotated[
        dict[str, Role] | None, "Meanings of other role names, case-insensitive: {client: user, counselor: assistant}."
    ] = None,
    conversation_key: Annotated[
        Text | None, "Each row is one message: rows with the same value of this key form a conversation, in their order."
    ] = None,
    conversation_per_file: Annotated[bool, "Each row is one message, and the rows of a file form a conversation."] = False,
    best_branch: Annotated[
        bool,
        "Where rows of a conversation form a tree (`parent_id`), follow the reply with the lowest `rank`, or the first; count the others.",
    ] = False,
    ignore_message_keys: Annotated[Iterable[str], "Keys of a message that are not trained, such as its id and time."] = (),
    keep_meta: Annotated[Iterable[str], "Keys of the row to keep in meta."] = (),
    last_only: Annotated[bool, "Train only the last assistant message."] = False,
) -> Iterator[Record | Drop]:
    """Yield one chat record per row or conversation. `known` are the meanings of role names without the option roles."""
    kept, ignored = tuple(keep_meta), frozenset(ignore_message_keys)
    role_of = role_names(known, roles)
    record = partial(tuple.__new__, Record)  # twice as fast as Record(...)
    plain = [role_key, content_key] == [*_PLAIN] and not roles
    if not STATELESS({"conversation_key": conversation_key, "conversation_per_file": conversation_per_file}):
        parts = yield from grouped(rows, conversation_key, content_key)
        if best_branch:
            parts = yield from best_branches(parts, lambda value: role_of(str(value.get(role_key))) == "assistant")
        rows = yield from joined_conversations(parts, conversation_key, messages_key, (role_key, content_key), system_key, kept)
    elif best_branch:
        rows = yield from no_trees(rows)
    for row in rows:
        value = {messages_key: row.value} if isinstance(row.value, list) else row.value
        try:
            turns = _turns(value, messages_key)
            is_plain = plain and {*map(type, turns)} == _DICT and {*map(tuple, turns)} == _PLAIN_ONLY
            is_plain = is_plain and {*map(type, map(_CONTENT, turns)), *map(type, map(_ROLE, turns))} == _TEXT
            is_plain = is_plain and {*map(_ROLE, turns)} <= ROLES.keys()
            if not is_plain and (fault := fault_of_order(turns)):
                raise Unsupported(*fault)
            messages = turns if is_plain else [message_of(turn, role_key, content_key, role_of, ignored) for turn in turns]
            if system := value.get(system_key):
                messages = with_system(messages, system)
            fixed = ()
            if messages[0].get("role") == "system" and isinstance(text := messages[0].get("content"), str) and not text.strip():
                messages, fixed = messages[1:], ("blank_system_removed",)
        except Unsupported as error:
            yield Drop(row, error.reason, str(error))
            continue
        if last_only:
            messages = [*({**m, "train": False} for m in messages[:-1]), messages[-1] | {"train": messages[-1].get("train", True)}]
        meta = {key: value[key] for key in kept if key in value} if kept else {}
        if isinstance(dict.get(value, "meta"), dict):  # any other is left unread, and named
            meta = dict[str, Any](value["meta"]) | meta
        yield record((row, {"messages": messages}, meta, fixed))


class Unsupported(Exception):
    """A message has something that a chat record cannot hold: the drop's reason, and what it is."""

    def __init__(self, what: str, reason: str = "unknown_message_key") -> None:
        super().__init__(what)
        self.reason = reason


def role_names(known: Mapping[str, str], roles: Mapping[str, str] | None = None) -> Callable[[str], str]:
    """Return the function from the name of a role, in any case, to the role: that of `roles`, or of those `known`. Other names are returned
    unchanged, to be refused."""
    spellings = {name.lower(): (meanings, name) for meanings in (known, roles or {}) for name in meanings}

    def role_of(name: str) -> str:
        meanings, spelling = spellings.get(name.lower(), ({name: name}, name))
        return meanings[spelling]

    return role_of


_OWN_NAMES = role_names(ROLES)


def message_of(
    turn: Any,
    role_key: str = "role",
    content_key: str = "content",
    role_of: Callable[[str], str] = _OWN_NAMES,
    ignored: Container[str] = (),
) -> dict[str, Any]:
    """Return the record's message for a message of a row, without ignored keys. Raises Unsupported."""
    if not isinstance(turn, dict):
        return {"role": None, "content": turn}
    role, content = turn.get(role_key), turn.get(content_key)
    if isinstance(role, str | int):  # `is_human: true`, a speaker's number
        role = role_of(str(role))
    message = {"role": role, "content": _joined(content) if isinstance(content, list) else content}
    _refuse_bad_within(turn, ignored)
    for key, value in turn.items():
        if key in (role_key, content_key) or key in ignored:
            continue
        if key == "train" and isinstance(value, bool):
            message["train"] = value
        elif key in ("weight", "loss") and value is not None:
            if value not in (0, 1):
                raise Unsupported(f"{key} is {value!r}: only 0 (not trained) and 1 (trained) are allowed", "bad_weight")
            if value == 0 or role == "assistant":  # 1 is the default: it does not train a question
                message["train"] = bool(value)
        elif is_verdict(key, value):
            says, what = VERDICTS[key]
            if says(value):
                raise Unsupported(f"a message has {key}: {value!r:.40} ({what})", "bad_message")
        elif value not in (None, [], {}, ""):
            raise Unsupported(f"a message has {key!r}, which a chat record cannot hold")
    return message


def _refuse_bad_within(turn: dict[str, Any], ignored: Container[str]) -> None:
    """Raise Unsupported if the message's metadata says that it is no good, unless that very key is ignored."""
    for path in filter(None, (bad_within(key, value) for key, value in turn.items())):
        if path not in ignored:
            raise Unsupported(f"a message has {path} ({said_by(path)})", "bad_message")


def with_system(messages: list[dict[str, Any]], system: Any) -> list[dict[str, Any]]:
    """Return the messages with the row's system prompt first. Raises Unsupported if they begin with a different one."""
    if isinstance(system, dict) and isinstance(system.get("parts"), list):  # Gemini's systemInstruction
        system = system["parts"]
    if isinstance(system, list):  # as Anthropic and Bedrock write it
        system = _joined(system)
    if isinstance(system, str) and not system.strip():
        return messages
    if messages[0].get("role") != "system":
        return [{"role": "system", "content": system}, *messages]
    if messages[0].get("content") != system:
        raise Unsupported("the row's system prompt differs from its system message", "two_system_prompts")
    return messages


def _joined(parts: list[Any]) -> Any:
    """Return the text of a content in parts, as chat templates join it; anything else is returned unchanged, to be refused."""
    texts = []
    for part in parts:
        kind = part.get("type") if isinstance(part, dict) else None
        if isinstance(part, dict) and isinstance(part.get("text"), dict):  # OpenAI's Assistants: {"value": ..., "annotations": []}
            part = {**part, **part["text"], "text": part["text"].get("value"), "value": None}
        if kind not in _TEXTS:
            raise Unsupported(f"a content has a part of type {kind!r}: only text is trained", "content_not_text")
        if not isinstance(part, dict) or not isinstance(part.get("text"), str):
            return parts
        if others := [key for key, value in part.items() if key not in _PART and value not in (None, [], {}, "")]:
            raise Unsupported(f"a text part of a content has {others[0]!r}, which a chat record cannot hold", "content_not_text")
        texts.append(part["text"])
    return "".join(texts)


def _turns(row: Any, messages_key: str) -> list[Any]:
    """Return the row's messages, which a table holds as JSON text. Raises Unsupported if there are none."""
    turns = row.get(messages_key) if isinstance(row, dict) else None
    if turns is None and is_path(messages_key) and isinstance(row, dict):
        with suppress(NoValue):
            turns = value_at(row, messages_key)
    if isinstance(text := turns, str):
        with suppress(*FAULTS):
            turns = parse_json(text)
            if (key := duplicate_key(text.encode(), turns)) is not None:
                raise Unsupported(repr(key), "duplicate_key")
    if isinstance(turns, dict):
        turns = rows_of_lists(turns)
    if not isinstance(turns, list) or not turns:
        raise Unsupported(f"expected a list under {messages_key!r}; {_what(row, messages_key)}", "no_messages")
    return turns


def rows_of_lists(columns: dict[str, Any]) -> list[dict[str, Any]] | None:
    """Return the messages of an object of lists, as `datasets` writes a list of objects: {"role": [...], "content": [...]}."""
    lists = [*columns.values()]
    if not all(isinstance(values, list) for values in lists) or len({*map(len, lists)}) != 1:
        return None
    return [dict(zip(columns, values, strict=True)) for values in zip(*lists, strict=True)]


def _what(value: Any, messages_key: str) -> str:
    if not isinstance(value, dict):
        return f"the row is {type(value).__name__}"
    if messages_key in value:
        found = value[messages_key]
        if isinstance(found, str) and found.startswith(("[{'", "[ {'")):
            return "it is a list as Python prints it: write it as JSON (json.dumps)"
        return f"it is {'an object' if isinstance(found, dict) else 'empty or no list'}"
    return f"the row has {', '.join(map(str, list(value)[:8])) or 'no keys'}"
