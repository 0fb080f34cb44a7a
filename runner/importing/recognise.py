"""Data files -> the converter, record type and options that read them.

Candidates come from the keys of the first rows, the most specific first; each is tried on those rows, and the first that converts most of
them is taken. Nothing is decided by a file's name except that BabyLM's corpora are called .train, .dev or .test.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

from ...converters.building.trial import try_converter
from ...converters.reading.contents import text_format
from ...converters.reading.delimited import NO_HEADER, is_headerless
from ...converters.reading.encodings import encoding_hint
from ...converters.reading.files import SourceFile, open_source, source_files
from ...converters.reading.readers import HEAD, SKIPPED_TEXT, open_file
from ...converters.reading.records import Drop, Record, Row
from ...converters.sources.registry import converter
from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.sections import UTF8, RecordType

SAMPLE = 500
ENOUGH = 0.5  # of the rows: real files have unusable ones
ENOUGH_OF_ONE_SOURCE = 0.2  # where the keys are those of a single source
MAX_LABELS = 50
TABLES = (".csv", ".tsv")  # where commas may not be those of a text
# Keys that only one source has: any of these sets.
SIGNATURES: dict[str, tuple[set[str], ...]] = {
    "emogpt": ({"messages", "metadata"},),
    "introspection": ({"question_id", "emotion_statistics"}, {"question_id", "parsed_emotions"}),
    "babylm": ({"text", "label_0", "score_0"}, {"text", "emotion", "augmented_text"}),
    "alpaca_emotion": ({"instruction", "rewritten_output"}, {"instruction", "instances"}, {"instruction", "new-output"}),
    "emollm": ({"conversation"},),
    "mbti": ({"type", "posts"},),
}
USER = ("question", "prompt", "user", "query", "instruction", "input", "ask", "request")
ASSISTANT = ("answer", "response", "reply", "assistant", "completion", "output", "solution")
TEXT = ("text", "sentence", "review", "content", "comment", "body", "message", "tweet", "post", "document", "article", "story")
LABEL = ("label", "labels", "class", "category", "sentiment", "emotion", "stars", "rating", "intent", "topic", "type")
ROLES, CONTENTS = ("role", "from", "speaker", "author"), ("content", "value", "text", "message", "utterance")


class Candidate(NamedTuple):
    """A way to read the rows, and why."""

    converter: str
    record_type: RecordType
    options: dict[str, Any]
    why: str
    enough: float = ENOUGH


class Recognised(NamedTuple):
    """The chosen way to read the files, the sampled records, the number of rows that it cannot use, and columns that it does not read."""

    choice: Candidate
    records: list[Record]
    unusable: int
    unread: list[str]


def recognise(paths: list[str], encoding: str = UTF8, columns: tuple[str, ...] = ()) -> Recognised:
    """Choose how to read the files. Raises UserError where no converter reads most of the first rows, and where encoding or columns have
    to be declared first."""
    files = [file._replace(encoding=encoding, columns=columns) for path in paths for file in source_files(path)]
    for file in files:
        _refuse_undeclared(file)
    rows = [row.value for row in islice(_values(files), SAMPLE) if isinstance(row, Row) and isinstance(row.value, dict)]
    if any({"chosen", "rejected"} <= set(row) for row in rows):
        hint = "recipes support supervised fine-tuning: use the column of the preferred reply as the answer"
        raise UserError(Problem(Location(paths[0]), "is preference data (chosen and rejected)", hint, "unknown-data"))
    for candidate in _candidates(rows, files):
        records, unusable = try_converter(candidate.converter, candidate.record_type, candidate.options, files, SAMPLE)
        if records and len(records) >= candidate.enough * (len(records) + len(unusable)):
            return Recognised(candidate, records, len(unusable), _unread(rows, candidate))
    names = ", ".join(key for key, _ in Counter(key for row in rows for key in row).most_common(12))
    what = f"no converter reads these rows (keys: {names})" if names else "no converter reads this file"
    raise UserError(
        Problem(Location(paths[0]), what, "see docs/converters.md; the converter table reads any named columns", "unknown-data")
    )


def _refuse_undeclared(file: SourceFile) -> None:
    """Raise UserError for a text that is not UTF-8, and for a table without a header, where the source does not say so."""
    with open_source(file.path, file.encoding) as stream:
        head = stream.read(HEAD)
        if text_format(head) != "text":
            return
        if not _is_utf8(head):
            raise UserError(Problem(Location(str(file.path)), "is not UTF-8", encoding_hint(stream), "encoding"))
    if not file.columns and (file.path.suffix in TABLES or b"\t" in head) and is_headerless(head):
        raise UserError(Problem(Location(str(file.path), 1), "the first row reads like data, not like a header", NO_HEADER, "csv-header"))


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and len(head) == HEAD
    return True


def _values(files: list[SourceFile]) -> Iterator[Row | Drop]:
    """The rows of the files that hold JSON or tables; none of plain text."""
    for file in files:
        kind, stream, reader = open_file(file._replace(named=False), "values")
        with stream:
            if kind != SKIPPED_TEXT:
                yield from reader(stream, file.name)


def _candidates(rows: list[dict[str, Any]], files: list[SourceFile]) -> Iterator[Candidate]:
    keys = set().union(*rows) if rows else set()
    for name, signatures in SIGNATURES.items():
        for signature in signatures:
            if signature <= keys:
                why = f"rows have {', '.join(sorted(signature))}"
                yield Candidate(name, converter(name).RECORD_TYPES[0], {}, why, ENOUGH_OF_ONE_SOURCE)
    if _mbti_labels(rows) or not rows and b"type,posts" in _head(files[0]):
        yield Candidate("mbti", "classification", {}, "labels are MBTI types", ENOUGH_OF_ONE_SOURCE)
    if rows and all(isinstance(seeds, list) and seeds and "instruction" in seeds[0] for row in rows for seeds in row.values()):
        yield Candidate("alpaca_emotion", "chat", {}, "instructions by emotion")
    yield from _chats(rows, keys)
    yield from _tables(rows, keys)
    if not rows:
        yield from _texts(files)


def _mbti_labels(rows: list[dict[str, Any]]) -> bool:
    labels = [str(row.get("label", row.get("type", ""))) for row in rows]
    return bool(labels) and all(len(label) == 4 and all(map(str.__contains__, ("EI", "NS", "FT", "JP"), label)) for label in labels)


def _chats(rows: list[dict[str, Any]], keys: set[str]) -> Iterator[Candidate]:
    for key in sorted(keys, key=lambda key: (key not in ("messages", "conversations"), key)):
        turns = next((row[key] for row in rows if isinstance(row.get(key), list) and row[key]), None)
        if not turns or not isinstance(turns[0], dict):
            continue
        role, content = _first(ROLES, turns[0]), _first(CONTENTS, turns[0])
        if role == "from" and content:
            yield Candidate("sharegpt", "chat", _changed(conversations_key=(key, "conversations"), value_key=(content, "value")),
                            f"{key} is a list of turns with from and {content}")  # fmt: skip
        elif role and content:
            named = _changed(messages_key=(key, "messages"), role_key=(role, "role"), content_key=(content, "content"))
            yield Candidate("messages", "chat", named, f"{key} is a list of messages with {role} and {content}")
    if {"prompt", "completion"} <= keys:
        yield Candidate("prompt_completion", "chat", {}, "rows have prompt and completion")
    if {"instruction", "output"} <= keys:
        yield Candidate("alpaca", "chat", {}, "rows have instruction and output")


def _tables(rows: list[dict[str, Any]], keys: set[str]) -> Iterator[Candidate]:
    user, assistant, system = _first(USER, keys), _first(ASSISTANT, keys), _first(("system",), keys)
    if user and assistant and user != assistant:
        named = _changed(user_key=(user, "user"), assistant_key=(assistant, "assistant"), system_key=(system, None))
        yield Candidate("table", "chat", named, f"columns {user} and {assistant} are a question and its answer")
    text, label = _first(TEXT, keys) or _longest(rows), _first(LABEL, keys)
    if text and label and text != label and _is_label(rows, label):
        named = _changed(text_key=(text, "text"), label_key=(label, "label"))
        yield Candidate("table", "classification", named, f"column {label} has few different values: labels of {text}")
    if text:
        yield Candidate("table", "text", _changed(text_key=(text, "text")), f"column {text} is text")


def _texts(files: list[SourceFile]) -> Iterator[Candidate]:
    if all(file.path.suffix in (".train", ".dev", ".test") for file in files):
        yield Candidate("babylm", "text", {}, "a BabyLM corpus, by its suffix")
    parts = _head(files[0]).strip().count(b"\n\n")
    by = {"sample_by": "paragraph"} if parts and len(files) == 1 and files[0].path.suffix != ".md" else {}
    yield Candidate("text", "text", by, "plain text" + (", paragraphs between blank lines" if by else ", one document per file"))


def _head(file: SourceFile) -> bytes:
    with Path(file.path).open("rb") as stream:
        return stream.read(1 << 16)


def _first(names: tuple[str, ...], keys: Any) -> str | None:
    """The first of the names among the keys, in any case."""
    folded = {str(key).lower().strip(): key for key in keys}
    return next((folded[name] for name in names if name in folded), None)


def _changed(**options: tuple[str | None, str | None]) -> dict[str, Any]:
    """Options whose value is not the default."""
    return {name: value for name, (value, default) in options.items() if value is not None and value != default}


def _longest(rows: list[dict[str, Any]]) -> str | None:
    """The column with the longest texts, of at least four words on average."""
    words = (
        {key: [len(str(row[key]).split()) for row in rows if isinstance(row.get(key), str)] for key in set().union(*rows)} if rows else {}
    )
    best = max(words, key=lambda key: sum(words[key]), default=None)
    return best if best is not None and sum(words[best]) >= 4 * max(len(words[best]), 1) else None


def _is_label(rows: list[dict[str, Any]], key: str) -> bool:
    values = [str(row[key]) for row in rows if row.get(key) not in (None, "")]
    return 1 < len(set(values)) <= min(MAX_LABELS, max(len(values) * 4 // 5, 2))


def _unread(rows: list[dict[str, Any]], choice: Candidate) -> list[str]:
    """Columns that the converter table does not read with these options."""
    if choice.converter != "table":
        return []
    used = set(choice.options.values()) | ({"user", "assistant"} if choice.record_type == "chat" else {"text", "label"})
    return sorted({str(key) for row in rows for key in row} - used)
