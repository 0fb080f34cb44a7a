"""List ways to read rows, the most specific first: by keys that only one source has, as chats, as tables, as text."""

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePath
from typing import Any

import orjson

from ...converters.reading.files import SourceFile
from ...converters.sources.registry import CONVERTERS, converter, recognise_rows, recognise_text, signatures
from .annotations import annotated
from .candidate import ENOUGH_OF_ONE_FORM, Candidate, changed
from .chat_logs import logs_of_rows, logs_of_text
from .columns import (
    ASSISTANT,
    ROWS_PER_LABEL,
    SYSTEM,
    USER,
    Columns,
    words,
)  # fmt: skip
from .nested import all_levels, one_level
from .speakers import chat_roles, unread_keys
from .table_candidates import labelled_within, tables_of, turns_note

HEAD = 1 << 16
LINES_PER_PARAGRAPH = 20  # with more, blank lines do not separate paragraphs
_TIME = r"(?:\[?\d[\d/.,: \u202f-]{5,30}(?:[AP]M)?\]?[ -]*)?"  # before the speaker, in the export of a messenger
_SPEAKER = re.compile(_TIME + r"[\W_]*([^\W\d][\w .'-]{0,30}?)[*_]*[:：][*_]*\s")
_FRONT_MATTER = re.compile(rb"---[ \t]*\r?\n(?:[\w-]+:|[ \t#-]).*\n(?:.*\n){0,200}?---[ \t]*\r?\n")
_SEPARATOR = re.compile(rb"<\|end_?of_?text\|>")  # between the texts of TinyStories and of other corpora in one file
FILES = 20  # looked at for front matter
FOLDERS = 20  # more folders are topics or dates, not labels
SPEAKERS, SPOKEN = 6, 0.4  # a dialogue: at most so many names start at least this share of the lines
_ONE_CHAT = ("prompt", "completion")  # columns of messages that belong together
_LIST = re.compile(r'\s*\[\s*\{\s*"')  # of messages, in a cell
_PRINTED = re.compile(r"\s*\[\s*\{'(?:role|content|from|value)'")  # the same as Python prints it
ROLES = ("role", "from", "speaker", "author", "sender_type", "author_type", "sender", "participant")
LONGEST_PROMPT = 40  # characters shown
CONTENTS = ("content", "value", "text", "message", "utterance", "body", "parts")


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
    if tables and all(one.record_type == "text" for one in tables):
        tables = [one._replace(doubt=True) for one in (*tables, *labelled_within(rows, tables[0]))]
    if not tables and len(rows) > 1:
        nested = Columns(all_levels(rows))
        tables = [one for one in tables_of(nested) if not one.doubt and not _is_of_a_message(one, nested.names)]
    yield from tables


def _is_of_a_message(candidate: Candidate, names: list[str]) -> bool:
    """Return whether the candidate's text is that of a message within the rows, with its role beside it: a reply without its question."""
    path = candidate.options.get("text_key", "") if candidate.record_type == "text" else ""
    return f"{path.rpartition('.')[0]}.role" in names


def _chats(rows: list[dict[str, Any]], columns: Columns) -> Iterator[Candidate]:
    for key in sorted(columns.names, key=lambda key: (key not in ("messages", "conversations"), key)):
        chats = [found for row in rows if (found := _turns(row.get(key)))]
        if not chats:
            if any(_PRINTED.match(row[key]) for row in rows if isinstance(row.get(key), str)):
                yield Candidate("messages", "chat", changed(messages_key=(key, "messages")), f"{key} has messages", ENOUGH_OF_ONE_FORM)
            continue
        role, content = _first(ROLES, chats[0][0]), _content(chats[0][0])
        if not role or not content or key in _ONE_CHAT and {*_ONE_CHAT} <= {*columns.names}:
            continue
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
        yield Candidate("alpaca", "chat", {}, "rows have instruction and output")
    user, assistant = columns.named(USER), columns.named(ASSISTANT)
    if user and assistant and "history" in keys:
        yield Candidate("alpaca", "chat", {"instruction_key": user, "output_key": assistant},
                        f"rows have {user}, {assistant} and a history of earlier turns")  # fmt: skip


def _system_prompts(contents: Iterable[Any]) -> str:
    """Return a note on system messages, which may be a program's own: `Chat started`."""
    prompts = Counter(map(str, contents))
    if not prompts:
        return ""
    first = prompts.most_common(1)[0][0]
    shown = first if len(first) <= LONGEST_PROMPT else first[:LONGEST_PROMPT].rsplit(" ", 1)[0] + " …"
    return f"; system prompts ({prompts.total():,}), e.g. {shown!r}"


def _one_message_per_row(columns: Columns) -> Iterator[Candidate]:
    """Yield candidates for rows with a role, a content and the id of their conversation."""
    role, content = columns.named(ROLES), columns.named(CONTENTS)
    if role and content and columns.is_label(role):
        for group in columns.groups(columns.names):
            chats: dict[Any, list[Any]] = {}
            for row in columns.rows:
                chats.setdefault(row.get(group), []).append(row.get(role))
            named, why = chat_roles(chats.values())
            options = changed(
                conversation_key=(group, None), role_key=(role, "role"), content_key=(content, "content"), roles=(named, None)
            )
            yield Candidate("messages", "chat", options, f"each row is a message of the conversation {group}{why}")


def _turns(value: Any) -> list[dict[str, Any]] | None:
    """Return the turns of a cell, which may contain them as JSON text."""
    if isinstance(value, str) and _LIST.match(value):
        try:
            value = orjson.loads(value)
        except orjson.JSONDecodeError:
            return None
    return value if isinstance(value, list) and value and isinstance(value[0], dict) else None


def text_candidates(files: list[SourceFile]) -> Iterator[Candidate]:
    """Yield the candidates for files without rows: plain text."""
    head = head_of(files[0])
    yield from logs_of_text(head)
    suffixes = {file.path.suffix for file in files}
    for name in CONVERTERS:
        if why := recognise_text(name, head, suffixes):
            yield Candidate(name, converter(name).RECORD_TYPES[0], {}, why, ENOUGH_OF_ONE_FORM)
    lines = [line.strip() for line in head.decode("utf-8", "replace").strip().splitlines()]
    filled = [line for line in lines if line]
    if not filled or sum(map(words, filled)) < 2 * len(filled):
        return  # a list of names or labels
    options = {"front_matter": False} if all(_has_front_matter(file) for file in files[:FILES]) else {}
    without = ", without its front matter" if options else ""
    spoken = _spoken(filled)
    if found := _SEPARATOR.search(head):
        separator = found.group().decode()
        yield Candidate("text", "text", {"separators": [separator], **options}, f"plain text{without}, texts between {separator}")
    elif len(files) > 1 or len(filled) == 1:
        if labels := _folders(files):
            yield Candidate("text", "classification", options, f"the files' folders are their labels: {', '.join(labels)}", doubt=True)
        yield Candidate("text", "text", options, f"plain text{without}, one document per file{spoken}", doubt=True)
    elif options:
        yield Candidate("text", "text", options, f"plain text{without}")
    elif 0 < lines.count("") and len(filled) / lines.count("") <= LINES_PER_PARAGRAPH:
        yield Candidate("text", "text", {"sample_by": "paragraph"}, f"plain text, paragraphs between blank lines{spoken}")
    else:
        yield Candidate("text", "text", {"sample_by": "line"}, f"plain text, one record per line{spoken}")


def _folders(files: list[SourceFile]) -> list[str]:
    """Return the names of the folders if they may be labels: few, side by side, each with several files."""
    folders = Counter(PurePath(file.name).parent for file in files)
    side_by_side = len({folder.parent for folder in folders}) == 1 and PurePath() not in folders
    few = 1 < len(folders) <= FOLDERS and min(folders.values()) >= ROWS_PER_LABEL
    return sorted(folder.name for folder in folders) if side_by_side and few else []


def _has_front_matter(file: SourceFile) -> bool:
    return bool(_FRONT_MATTER.match(head_of(file)))


def _spoken(lines: list[str]) -> str:
    """Return a note if the lines are a conversation, which would be trained as plain text."""
    names = Counter(found[1].strip() for line in lines if (found := _SPEAKER.match(line)))
    if not 2 <= len(names) <= SPEAKERS or min(names.values()) < 2 or names.total() < SPOKEN * len(lines):
        return ""
    return f" (a conversation of {' and '.join(sorted(names))}: to train replies, write its turns as a list of messages)"


def head_of(file: SourceFile) -> bytes:
    """Return the first bytes of the file."""
    with Path(file.path).open("rb") as stream:
        return stream.read(HEAD)


def _content(turn: dict[str, Any]) -> str | None:
    """Return the key of a message's content: of several, the first that holds a text and not its parts."""
    found = [key for name in CONTENTS if (key := _first((name,), turn))]
    return next((key for key in found if isinstance(turn[key], str)), next(iter(found), None))


def _first(names: tuple[str, ...], keys: Any) -> str | None:
    """Return the first of the names among the keys, ignoring case."""
    lowered = {str(key).lower().strip(): key for key in keys}
    return next((lowered[name] for name in names if name in lowered), None)
