"""Choose the converter, record type and options for data files.

Candidates come from the keys and cells of the rows, the most specific first; each is tried on the first rows, and the first that converts
most of them is taken. File names decide nothing, except the suffixes of BabyLM's corpora.
"""

from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from ...converters.building.label_checks import one_spelling
from ...converters.building.trial import LIMIT, try_converter
from ...converters.reading.contents import text_format
from ...converters.reading.delimited import NO_HEADER, is_headerless
from ...converters.reading.encodings import encoding_hint, likely_encodings
from ...converters.reading.files import SourceFile, files_of, open_source, source_files
from ...converters.reading.readers import HEAD, SKIPPED_TEXT, open_file
from ...converters.reading.records import Drop, Record, Row
from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.sections import UTF8, RecordType, Source
from .candidates import ENOUGH, Candidate, candidates, text_candidates
from .columns import Columns

SAMPLE = 500  # rows for trying a candidate
TOOLS = ("tools", "functions")
TABLES = (".csv", ".tsv")  # formats in which commas are separators


class Recognised(NamedTuple):
    """The chosen way to read the files, and its result for the first rows.

    `alternatives` are other possible ways if names and cells leave doubt; `unread` has the keys that are not read,
    `groups` those that group rows; `is_whole` says whether every row was read; `respelt` maps labels to their most frequent spelling.
    """

    files: list[SourceFile]
    choice: Candidate
    alternatives: list[Candidate]
    records: list[Record]
    unusable: list[Drop]
    unread: list[str]
    groups: list[str]
    is_whole: bool
    respelt: dict[str, str]


def recognise(paths: list[str], record_type: RecordType | None = None, encoding: str = UTF8, columns: tuple[str, ...] = ()) -> Recognised:
    """Choose how to read the files, as records of the type if given.

    Raises UserError if no converter reads most of the rows, or if encoding or columns must be declared first.
    """
    files = [file for path in paths for file in files_of(Source(path, "", encoding=encoding, columns=columns))]
    for file in files:
        _refuse_undeclared(file, files)
    values = [row.value for row in islice(_values(files), LIMIT + 1) if isinstance(row, Row)]
    rows = [value for value in values[:LIMIT] if isinstance(value, dict)]
    _refuse_preferences(rows, paths[0])
    if values and not rows:
        kind = type(values[0]).__name__.replace("str", "text")
        hint = 'write one object per row, for example {"text": "..."} or {"question": "...", "answer": "..."}'
        raise UserError(Problem(Location(paths[0]), f"its rows have no keys: each is a {kind}", hint, "unknown-data"))
    table = Columns(rows)
    found = list(candidates(table) if rows else text_candidates(files))
    wanted = [one for one in found if record_type in (None, one.record_type)]
    readable = [one for one in wanted if _reads(one, files)]
    # Unusable rows of a specific format, such as chats, are not read as a table of other columns.
    if wanted and wanted[0].enough < ENOUGH and all(one.converter == "table" for one in readable):
        raise _unreadable(wanted[0], files, rows)
    if not readable:
        raise _unknown(paths[0], table, found, record_type)
    choice = readable[0]
    others = [one for one in readable[1:] if one.doubt and choice.doubt]
    return _examined(choice, others, files, table)


def _examined(choice: Candidate, others: list[Candidate], files: list[SourceFile], columns: Columns) -> Recognised:
    """Convert the first rows with the chosen candidate."""
    trial = try_converter(choice.converter, choice.record_type, choice.options, files, LIMIT)
    respelt: dict[str, str] = {}
    if choice.converter == "table" and choice.record_type == "classification":
        frequent = Counter(record.fields["label"] for record in trial.records).most_common()
        names = one_spelling(label for label, _ in frequent)
        if respelt := {label: name for label, name in names.items() if label != name}:
            choice = choice._replace(options={**choice.options, "label_names": names})
            trial = try_converter(choice.converter, choice.record_type, choice.options, files, LIMIT)
    unread = list(trial.unread)
    return Recognised(files, choice, others, trial.records, trial.unusable, unread, columns.groups(unread), trial.is_whole, respelt)


def choose(found: Recognised, number: int) -> Recognised:
    """Choose the alternative with this index instead."""
    rows = [row.value for row in islice(_values(found.files), LIMIT) if isinstance(row, Row) and isinstance(row.value, dict)]
    return _examined(found.alternatives[number], [], found.files, Columns(rows))


def _refuse_undeclared(file: SourceFile, files: list[SourceFile]) -> None:
    """Raise UserError for a text that is not UTF-8 or a table without a header, unless the source of these files declares it."""
    with open_source(file.path, file.encoding) as stream:
        head = stream.read(HEAD)
        if text_format(head) != "text":
            return
        if not _is_utf8(head):
            hint, likely = encoding_hint(stream), next(iter(likely_encodings(stream).values()), "")
            if likely and any(_holds_utf8(other) for other in files):
                hint = f"other files are UTF-8, and a source has one encoding: save it as UTF-8, e.g. iconv -f {likely} -t utf-8 FILE > NEW"
            raise UserError(Problem(Location(str(file.path)), "is not UTF-8", hint, "encoding"))
    if not file.columns and (file.path.suffix in TABLES or b"\t" in head) and is_headerless(head):
        raise UserError(Problem(Location(str(file.path), 1), "the first row reads like data, not like a header", NO_HEADER, "csv-header"))


def undeclared_encoding(paths: list[str]) -> dict[str, str]:
    """Return likely encodings of files that are not UTF-8, with a sample of the text in each; none if some may be UTF-8."""
    files = [file for path in paths for file in source_files(path)]
    found: dict[str, str] = {}
    for file in files:
        with open_source(file.path, UTF8) as stream:
            head = stream.read(HEAD)
            if text_format(head) != "text" or (head.isascii() and len(head) < HEAD):
                continue
            if _is_utf8(head):
                return {}
            found = found or likely_encodings(stream)
    return found


def _holds_utf8(file: SourceFile) -> bool:
    """Return whether the file begins with text that only UTF-8 reads right."""
    with open_source(file.path, UTF8) as stream:
        head = stream.read(HEAD)
    return not head.isascii() and text_format(head) == "text" and _is_utf8(head)


def _is_utf8(head: bytes) -> bool:
    try:
        head.decode()
    except UnicodeDecodeError as error:
        return error.reason == "unexpected end of data" and len(head) == HEAD
    return True


def _reads(candidate: Candidate, files: list[SourceFile]) -> bool:
    trial = try_converter(candidate.converter, candidate.record_type, candidate.options, files, SAMPLE)
    return bool(trial.records) and len(trial.records) >= candidate.enough * (len(trial.records) + len(trial.unusable))


def _values(files: list[SourceFile]) -> Iterator[Row | Drop]:
    """Yield the rows of JSON files and tables; none of plain text."""
    for file in files:
        kind, stream, reader = open_file(file._replace(named=False), "values")
        with stream:
            if kind != SKIPPED_TEXT:
                yield from reader(stream, file.name)


def _refuse_preferences(rows: list[dict[str, Any]], path: str) -> None:
    """Raise UserError for preference data, whose rejected replies would be trained too."""
    if any({"chosen", "rejected"} <= set(row) for row in rows):
        what, hint = "chosen and rejected", "use the column of the preferred reply as the answer"
    elif any({"prompt", "completion", "label"} <= set(row) and isinstance(row["label"], bool) for row in rows):
        what, hint = "a completion and whether it is good", "keep the rows whose label is true, without the label"
    else:
        return
    hint = f"recipes support supervised fine-tuning: {hint}"
    raise UserError(Problem(Location(path), f"is preference data ({what})", hint, "unknown-data"))


def _unreadable(candidate: Candidate, files: list[SourceFile], rows: list[dict[str, Any]]) -> UserError:
    """Return why the first rows cannot be used, if their keys clearly belong to the converter."""
    trial = try_converter(candidate.converter, candidate.record_type, candidate.options, files, SAMPLE)
    if not trial.unusable:
        return UserError(Problem(Location(files[0].name), "contains no rows", rule="unknown-data"))
    drop = trial.unusable[0]
    what = f"{drop.reason.replace('_', ' ')}: {drop.detail}; {candidate.why}, but most rows cannot be used"
    hint = f"fix the rows, or set the converter's options in a recipe: recipe show --converter {candidate.converter}"
    if any(row.get(key) for row in rows for key in TOOLS):
        hint = "tool calls cannot be trained: remove the tools from the chats"
        if candidate.converter == "sharegpt":
            hint += "; to train calls as plain text, set `ignore_keys: [tools]` and `options: {roles: {function_call: assistant}}`"
    return UserError(Problem(Location(drop.row.file, drop.row.line), what, hint, "unknown-data"))


def _unknown(path: str, columns: Columns, found: list[Candidate], record_type: RecordType | None) -> UserError:
    shown = ", ".join(columns.names[:12]) + (f" and {len(columns.names) - 12} more" if len(columns.names) > 12 else "")
    if record_type and any(one.record_type != record_type for one in found):
        what, hint = f"cannot be read as {record_type} records (keys: {shown})", "omit --type to detect the type"
    else:
        what = f"no converter reads these rows (keys: {shown})" if shown else "no converter reads this file"
        hint = "see docs/converters.md; the converter table reads any columns that you name in its options"
    lists = [name for name in columns.names if len(columns.rows) == 1 and isinstance(columns.rows[0].get(name), list)]
    if lists:
        hint = f"the file is one object: if its rows are the list {lists[0]!r}, write them one per line"
    return UserError(Problem(Location(path), what, hint, "unknown-data"))
