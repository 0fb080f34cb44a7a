"""List ways to read rows, the most specific first: by keys that only one source has, as chats, as tables, as text."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import orjson

from ...converters.reading.files import SourceFile
from ...converters.sources.registry import CONVERTERS, converter, recognise_rows, recognise_text, signatures
from ...schemas.sections import RecordType
from .columns import (
    ANSWER_ENDINGS,
    ASSISTANT,
    CONTEXT,
    LABEL,
    LABEL_ENDINGS,
    QUESTION_ENDINGS,
    SYSTEM,
    TEXT,
    TEXT_ENDINGS,
    USER,
    Columns,
    folded,
    words,
)  # fmt: skip
from .speakers import chat_roles

ENOUGH = 0.5  # share of the rows: real files have unusable ones
ENOUGH_OF_ONE_FORM = 0.2  # if no other format looks like this
HEAD = 1 << 16
LINES_PER_PARAGRAPH = 20  # with more, blank lines do not separate paragraphs
_SPEAKER = re.compile(r"[\W_]*(\w[\w .'-]{0,30}?)[*_]*[:：][*_]*\s")
SPEAKERS, SPOKEN = 6, 0.4  # a dialogue: at most so many names start at least this share of the lines
ROLES, CONTENTS = ("role", "from", "speaker", "author"), ("content", "value", "text", "message", "utterance")


class Candidate(NamedTuple):
    """A way to read the rows, and why. `doubt` says that the rows also allow other ways."""

    converter: str
    record_type: RecordType
    options: dict[str, Any]
    why: str
    enough: float = ENOUGH
    doubt: bool = False


def candidates(columns: Columns) -> Iterator[Candidate]:
    """Yield the candidates for rows with keys."""
    rows, keys = columns.rows, set(columns.names)
    for name in CONVERTERS:
        for signature in signatures(name):
            if signature <= keys:
                why = f"rows have {', '.join(sorted(signature))}"
                yield Candidate(name, converter(name).RECORD_TYPES[0], {}, why, ENOUGH_OF_ONE_FORM)
    for name in CONVERTERS:
        if why := recognise_rows(name, rows):
            yield Candidate(name, converter(name).RECORD_TYPES[0], {}, why, ENOUGH_OF_ONE_FORM)
    yield from _chats(rows, columns)
    yield from _tables(columns)


def _chats(rows: list[dict[str, Any]], columns: Columns) -> Iterator[Candidate]:
    for key in sorted(columns.names, key=lambda key: (key not in ("messages", "conversations"), key)):
        chats = [found for row in rows if (found := _turns(row.get(key)))]
        if not chats:
            continue
        role, content = _first(ROLES, chats[0][0]), _first(CONTENTS, chats[0][0])
        if not role or not content:
            continue
        named, why = chat_roles(([turn.get(role) for turn in chat if isinstance(turn, dict)] for chat in chats), share_gpt=role == "from")
        if role == "from":
            options = _changed(conversations_key=(key, "conversations"), value_key=(content, "value"), roles=(named, None))
            yield Candidate("sharegpt", "chat", options, f"{key} is a list of turns with from and {content}{why}", ENOUGH_OF_ONE_FORM)
        else:
            options = _changed(
                messages_key=(key, "messages"), role_key=(role, "role"), content_key=(content, "content"), roles=(named, None)
            )
            yield Candidate("messages", "chat", options, f"{key} is a list of messages with {role} and {content}{why}", ENOUGH_OF_ONE_FORM)
    yield from _one_message_per_row(columns)
    keys = set(columns.names)
    if {"prompt", "completion"} <= keys:
        yield Candidate("prompt_completion", "chat", {}, "rows have prompt and completion")
    if {"instruction", "output"} <= keys:
        yield Candidate("alpaca", "chat", {}, "rows have instruction and output")
    user, assistant = columns.named(USER), columns.named(ASSISTANT)
    if user and assistant and "history" in keys:
        yield Candidate("alpaca", "chat", {"instruction_key": user, "output_key": assistant},
                        f"rows have {user}, {assistant} and a history of earlier turns")  # fmt: skip


def _one_message_per_row(columns: Columns) -> Iterator[Candidate]:
    """Yield candidates for rows with a role, a content and the id of their conversation."""
    role, content = columns.named(ROLES), columns.named(CONTENTS)
    if role and content and columns.is_label(role):
        for group in columns.groups(columns.names):
            chats: dict[Any, list[Any]] = {}
            for row in columns.rows:
                chats.setdefault(row.get(group), []).append(row.get(role))
            named, why = chat_roles(chats.values())
            options = _changed(
                conversation_key=(group, None), role_key=(role, "role"), content_key=(content, "content"), roles=(named, None)
            )
            yield Candidate("messages", "chat", options, f"each row is a message of the conversation {group}{why}")


def _turns(value: Any) -> list[dict[str, Any]] | None:
    """Return the turns of a cell, which may contain them as JSON text."""
    if isinstance(value, str) and value.lstrip().startswith("[{"):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
    return value if isinstance(value, list) and value and isinstance(value[0], dict) else None


def _tables(columns: Columns) -> Iterator[Candidate]:
    if columns.nested_answers():
        return  # no other column takes their place
    asked, answered = columns.ending(QUESTION_ENDINGS), columns.ending(ANSWER_ENDINGS)
    user = columns.named(USER) or next(iter(asked), None) or columns.named(CONTEXT)
    answers = [exact] if (exact := columns.named(ASSISTANT, but=(user,))) else answered
    assistant = next(iter(answers), None)
    named_labels = [name for name in columns.ending(LABEL_ENDINGS) if columns.is_label(name)]
    label = columns.named(LABEL, but=(user, assistant)) or next(iter(named_labels), None)
    text = columns.named(TEXT, but=(label,)) or next((name for name in columns.ending(TEXT_ENDINGS) if name in columns.texts), None)
    is_label = bool(label and columns.is_label(label))
    both = bool(user and assistant and text and is_label)
    if user:
        for answer in answers:
            yield _questions(columns, user, answer, doubt=both or len(answers) > 1)
    named_text, text = text, text or next((name for name in columns.texts if name != label), None)
    if text and label and is_label:
        yield _labelled(text, label, doubt=both)
    if user and assistant:
        return
    if not is_label and (asking := columns.asking()):
        yield _questions(columns, *asking, doubt=False)
    others = [] if is_label else [name for name in columns.labels if name != text][:3]
    pair = [name for name in columns.names if name in columns.texts][:2]
    doubt = bool(others or len(pair) == 2 and not named_text) and not is_label
    found = [_labelled(text, name, doubt) for name in others] if text else []
    plain = [_text(columns, text, doubt)] if text else []
    yield from (*plain, *found) if named_text else (*found, *plain)
    if len(pair) == 2:
        yield from (_questions(columns, pair[0], pair[1], doubt), _questions(columns, pair[1], pair[0], doubt))


def _questions(columns: Columns, user: str, assistant: str, doubt: bool) -> Candidate:
    system = columns.named(SYSTEM)
    named = _changed(user_key=(user, "user"), assistant_key=(assistant, "assistant"), system_key=(system, None))
    why = f"columns {user} and {assistant} are a question and its answer"
    if context := columns.named(CONTEXT, but=(user, assistant)):
        parts = (user, context) if folded(user) in ("instruction", "prompt", "request") else (context, user)
        named = {**named, "user_template": "\n\n".join(f"{{{part}}}" for part in parts)}
        del named["user_key"]
        why = f"columns {user} (with {context}) and {assistant} are a question and its answer"
    return Candidate("table", "chat", named, why, doubt=doubt)


def _labelled(text: str, label: str, doubt: bool) -> Candidate:
    named = _changed(text_key=(text, "text"), label_key=(label, "label"))
    return Candidate("table", "classification", named, f"column {label} has few different values: labels of {text}", doubt=doubt)


def _text(columns: Columns, text: str, doubt: bool = False) -> Candidate:
    turns = " with the turns of chats: to train the replies alone, write them as lists of messages" if columns.holds_turns(text) else ""
    return Candidate("table", "text", _changed(text_key=(text, "text")), f"column {text} is text{turns}", doubt=doubt)


def text_candidates(files: list[SourceFile]) -> Iterator[Candidate]:
    """Yield the candidates for files without rows: plain text."""
    head = _head(files[0])
    suffixes = {file.path.suffix for file in files}
    for name in CONVERTERS:
        if why := recognise_text(name, head, suffixes):
            yield Candidate(name, converter(name).RECORD_TYPES[0], {}, why, ENOUGH_OF_ONE_FORM)
    lines = [line.strip() for line in head.decode("utf-8", "replace").strip().splitlines()]
    filled = [line for line in lines if line]
    if not filled or sum(map(words, filled)) < 2 * len(filled):
        return  # a list of names or labels
    if len(files) > 1 or len(filled) == 1:
        yield Candidate("text", "text", {}, f"plain text, one document per file{_spoken(filled)}")
    elif 0 < lines.count("") and len(filled) / lines.count("") <= LINES_PER_PARAGRAPH:
        yield Candidate("text", "text", {"sample_by": "paragraph"}, f"plain text, paragraphs between blank lines{_spoken(filled)}")
    else:
        yield Candidate("text", "text", {"sample_by": "line"}, f"plain text, one record per line{_spoken(filled)}")


def _spoken(lines: list[str]) -> str:
    """Return a note if the lines are a conversation, which would be trained as plain text."""
    names = Counter(found[1].strip() for line in lines if (found := _SPEAKER.match(line)))
    if not 2 <= len(names) <= SPEAKERS or min(names.values()) < 2 or names.total() < SPOKEN * len(lines):
        return ""
    return f" (a conversation of {' and '.join(sorted(names))}: to train replies, write its turns as a list of messages)"


def _head(file: SourceFile) -> bytes:
    with Path(file.path).open("rb") as stream:
        return stream.read(HEAD)


def _first(names: tuple[str, ...], keys: Any) -> str | None:
    """Return the first of the names among the keys, ignoring case."""
    lowered = {str(key).lower().strip(): key for key in keys}
    return next((lowered[name] for name in names if name in lowered), None)


def _changed(**options: tuple[Any, str | None]) -> dict[str, Any]:
    """Return the options whose value is not the default."""
    return {name: value for name, (value, default) in options.items() if value is not None and value != default}
