"""Choose the converter, record type and options for data files.

Candidates come from the keys and cells of the rows, the most specific first; each is tried on the first rows, and the first that converts
most of them is taken. File names decide nothing, except the suffixes of BabyLM's corpora.
"""

import os
import re
import shlex
from collections import Counter
from collections.abc import Iterator
from itertools import islice
from typing import Any, NamedTuple

from ...converters.building.label_checks import one_spelling
from ...converters.building.trial import LIMIT, try_converter
from ...converters.building.unusable_rows import holds_pairs, one_object_hint, several_hint
from ...converters.reading.contents import sniff
from ...converters.reading.delimiters import DELIMITERS
from ...converters.reading.files import SourceFile, files_of, is_about_data
from ...converters.reading.readers import SKIPPED_TEXT, open_file, read_file
from ...converters.reading.records import Drop, Record, Row
from ...converters.sources.key_paths import is_path
from ...converters.sources.registry import converter
from ...converters.sources.text_forms import A_TABLE, form_of
from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.sections import UTF8, RecordType, Source
from .candidate import ENOUGH, Candidate
from .candidates import candidates
from .choices import hint_for_choices
from .columns import Columns
from .file_forms import field_of_rows, lines_to_skip, may_be_a_table, refuse_partitions, refuse_undeclared
from .nested import all_levels
from .other_data import refuse_other_data
from .plain_texts import head_of, refuse_labelled_lines, text_candidates
from .texts_by_file import refuse_texts_of_lines
from .turns_without_speakers import hint_for_greeting, hint_for_reply, hint_for_turns

SUMS = ("total", "totals", "grand total", "sum", "summe", "gesamt", "totale", "suma", "somme", "totaal", "gesamtergebnis",
        "total general", "итого", "合计", "总计")  # fmt: skip
SAMPLE = 500  # rows for trying a candidate
TOOLS = ("tools", "functions")
OUT_OF_ORDER = ("not_in_order", "branches", "newest_first", "no_time")  # messages whose rows need only be sorted, or dated


_NOT_READ = (
    "choose a converter that reads it, or name it in a template of the converter table (text_, user_ or assistant_template); to train "
    "without the key, list it in ignore_keys in a recipe's source (--ignore-key)"
)
_MARKS = re.compile(rb"\s*<\|\w+\|>")  # their | is no delimiter of a table


class _UnreadableChats(UserError):
    """Rows that are chats, but that the converter cannot use."""


class Recognised(NamedTuple):
    """The chosen way to read the files, and its result for the first rows.

    `alternatives` are other possible ways if names and cells leave doubt; `unread` has the keys that are not read,
    `groups` those that group rows; `is_whole` says whether every row was read; `respelt` maps labels to their most frequent spelling.
    The files have the `skip_lines` and `field` that were found.
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
    files = [file for file in files if not is_about_data(file)] or files
    refuse_partitions(files)
    skipped = lines_to_skip(files)
    files = [file._replace(skip_lines=skipped) for file in files]
    for file in files:
        refuse_undeclared(file, files)
    _refuse_other_forms(files[0])
    try:
        return _recognised(files, paths[0], record_type)
    except UserError as error:
        if not (field := field_of_rows(files)):
            raise
        try:
            found = _recognised([file._replace(field=field) for file in files], paths[0], record_type)
        except UserError as within:
            raise (error if isinstance(error, _UnreadableChats) or not isinstance(within, _UnreadableChats) else within) from None
        if isinstance(error, _UnreadableChats) and found.choice.record_type != "chat":
            raise
        return found


def _recognised(files: list[SourceFile], path: str, record_type: RecordType | None) -> Recognised:
    read = [*islice(_values(files), LIMIT + 1)]
    values = [row.value for row in read if isinstance(row, Row)]
    values = [{"messages": value} if isinstance(value, list) and value and isinstance(value[0], dict) else value for value in values]
    rows = [value for value in values[:LIMIT] if isinstance(value, dict)]
    refuse_other_data(rows, path)
    if len(values) == len(rows) == 1 and holds_pairs(rows[0]):
        raise UserError(Problem(path, "holds one object of questions and answers", one_object_hint(rows[0]), "unknown-data"))
    if values and not rows:
        kind = type(values[0]).__name__.replace("str", "text")
        hint = 'write one object per row, for example {"text": "..."} or {"question": "...", "answer": "..."}'
        raise UserError(Problem(path, f"its rows have no keys: each is a {kind}", hint, "unknown-data"))
    if not rows:
        refuse_labelled_lines(path, head_of(files[0]))
        refuse_texts_of_lines(files, path)
    found = list(candidates(rows) if rows else text_candidates(files))
    wanted = [one for one in found if record_type in (None, one.record_type)]
    readable = [one for one in wanted if _reads(one, files)]
    # Unusable rows of a specific format, such as chats, are not read as a table of other columns.
    if wanted and wanted[0].enough < ENOUGH and all(one.converter == "table" for one in readable):
        raise _unreadable(wanted[0], files, rows)
    if all(one.converter == "table" and one.doubt for one in readable):
        for one in wanted:
            if one.converter in ("messages", "chat_log") and (drop := _first_unusable(one, files)) and drop.reason in OUT_OF_ORDER:
                raise _unreadable(one, files, rows)
    if not readable and not values and isinstance(drop := next(iter(read), None), Drop):
        what = f"{drop.reason.replace('_', ' ')}: {drop.detail}"
        raise UserError(Problem(Location(drop.row.file, drop.row.line), what, "fix the rows: none can be read", "unknown-data"))
    if not readable:
        unusable = _first_unusable(wanted[0], files) if wanted else None
        _refuse_broken_table(files[0], unusable)
        is_left_out = unusable and unusable.reason == "key_not_read"
        hint = hint_for_choices(rows) or _NOT_READ if is_left_out else hint_for_turns(rows, files[0].path)
        hint = hint or (several_hint([unusable]) if unusable and wanted[0].record_type == "chat" else "")
        raise _unknown(path, Columns(rows), found, record_type, f"; {unusable}" if unusable else "", _for_json(hint, files[0]))
    choice = _with_the_first(readable[0], wanted[0], files)
    others = [one.on_one_line() for one in readable[1:] if one.doubt and choice.doubt]
    return _examined(choice, others, files, Columns(rows))


def _with_the_first(choice: Candidate, first: Candidate, files: list[SourceFile]) -> Candidate:
    """Return the choice, which says so if the rows seemed to be of another type that most of them cannot be read as."""
    if first.record_type == choice.record_type or not (drop := _first_unusable(first, files)):
        return choice
    return choice._replace(why=f"{choice.why}; as {first.record_type} ({first.why}) most rows cannot be used, e.g. {drop}")


def _examined(choice: Candidate, others: list[Candidate], files: list[SourceFile], columns: Columns) -> Recognised:
    """Convert the first rows with the chosen candidate."""
    files = _as_read(choice, files)
    trial = try_converter(choice.converter, choice.record_type, choice.options, files, LIMIT)
    respelt: dict[str, str] = {}
    if choice.converter == "table" and choice.record_type == "classification":
        frequent = Counter(record.fields["label"] for record in trial.records).most_common()
        names = one_spelling(label for label, _ in frequent)
        if respelt := {label: name for label, name in names.items() if label != name}:
            choice = choice._replace(options={**choice.options, "label_names": names})
            trial = try_converter(choice.converter, choice.record_type, choice.options, files, LIMIT)
    unread = list(trial.unread)
    groups = columns.groups(unread, choice.options.get("conversation_key"))
    return Recognised(files, choice.on_one_line(), others, trial.records, trial.unusable, unread, groups, trial.is_whole, respelt)


def sum_row(found: Recognised) -> Row | None:
    """Return the last row if it looks like the sum at the end of a sheet; it would be trained like any other."""
    row = found.records[-1].row if found.records and found.is_whole else None
    first = next(iter(row.value.values()), "") if row and isinstance(row.value, dict) else ""
    return row if isinstance(first, str) and first.strip(" :").lower() in SUMS else None


def choose(found: Recognised, number: int) -> Recognised:
    """Choose the alternative with this index instead."""
    rows = [row.value for row in islice(_values(found.files), LIMIT) if isinstance(row, Row) and isinstance(row.value, dict)]
    return _examined(found.alternatives[number], [], found.files, Columns(rows))


def _as_read(candidate: Candidate, files: list[SourceFile]) -> list[SourceFile]:
    """Return the files as the candidate's converter reads them: one with a reader of its own reads every line."""
    return files if converter(candidate.converter).INPUT == "values" else [file._replace(skip_lines=0) for file in files]


def _reads(candidate: Candidate, files: list[SourceFile]) -> bool:
    files = _as_read(candidate, files)
    trial = try_converter(candidate.converter, candidate.record_type, candidate.options, files, SAMPLE)
    return bool(trial.records) and len(trial.records) >= candidate.enough * (len(trial.records) + len(trial.unusable))


def _first_unusable(candidate: Candidate, files: list[SourceFile]) -> Drop | None:
    """Return the first row that the candidate's converter cannot use, if there is one."""
    trial = try_converter(candidate.converter, candidate.record_type, candidate.options, _as_read(candidate, files), SAMPLE)
    return next(iter(trial.unusable), None)


def _refuse_broken_table(file: SourceFile, unusable: Drop | None) -> None:
    """Raise UserError for the first row that does not fit in the table which the file is by its first line or its name: it is read as
    text, of which its converter can only say that it is none."""
    if unusable.detail.startswith(A_TABLE) if unusable else may_be_a_table(file, head_of(file)):
        rows = islice(read_file(file._replace(named=True), "values")[1], SAMPLE)
        if drop := next((row for row in rows if isinstance(row, Drop)), None):
            what = f"{drop.reason.replace('_', ' ')}: {drop.detail}" if drop.detail else drop.reason.replace("_", " ")
            hint = 'every row needs as many cells as the header; a cell with a delimiter or a quote is written in quotes: "a, ""b"""'
            raise UserError(Problem(Location(drop.row.file, drop.row.line), what, hint, "unknown-data"))


def _values(files: list[SourceFile]) -> Iterator[Row | Drop]:
    """Yield the rows of JSON files and tables; none of plain text."""
    for file in files:
        kind, stream, reader = open_file(file._replace(named=False), "values")
        with stream:
            if kind != SKIPPED_TEXT:
                yield from reader(stream, file.name)


def _unreadable(candidate: Candidate, files: list[SourceFile], rows: list[dict[str, Any]]) -> UserError:
    """Return why the first rows cannot be used, if their keys clearly belong to the converter."""
    trial = try_converter(candidate.converter, candidate.record_type, candidate.options, files, SAMPLE)
    if not trial.unusable:
        return UserError(Problem(files[0].name, "contains no rows", rule="unknown-data"))
    drop = trial.unusable[0]
    what = f"{drop.reason.replace('_', ' ')}: {drop.detail}; {candidate.why}, but most rows cannot be used"
    hint = f"fix the rows, or set the converter's options in a recipe: recipe show --converter {candidate.converter}"
    if drop.reason == "key_not_read":
        hint = _NOT_READ
    if drop.reason in ("one_message", "last_not_assistant") and candidate.converter == "messages":
        hint = hint_for_reply(rows, candidate.options, files[0].path) or hint
    if drop.reason == "roles_do_not_alternate":
        hint = hint_for_greeting(candidate, rows, files[0].path) or hint
    if any(row.get(key) for row in rows for key in TOOLS):
        hint = "tool calls cannot be trained: remove the tools from the chats"
        if candidate.converter == "sharegpt":
            hint += "; to train calls as plain text, set `ignore_keys: [tools]` and `options: {roles: {function_call: assistant}}`"
    return (_UnreadableChats if candidate.record_type == "chat" else UserError)(
        Problem(Location(drop.row.file, drop.row.line), what, _for_json(hint, files[0]), "unknown-data")
    )


def _for_json(hint: str, file: SourceFile) -> str:
    """Return the hint, with what comes before its jq, which reads JSON, if the file is a Parquet file."""
    if "jq -c" not in hint or sniff(head_of(file)) != "parquet":
        return hint
    name = shlex.quote(file.path.name)
    code = "import datasets, sys; datasets.Dataset.from_parquet(sys.argv[1]).to_json('FILE')"
    return f'write the rows as JSON, python -c "{code}" {name}; then {hint.replace(f" {name} >", " FILE >")}'


def _unknown(path: str, columns: Columns, found: list[Candidate], record_type: RecordType | None, why: str, better: str) -> UserError:
    shown = ", ".join(columns.names[:12]) + (f" and {len(columns.names) - 12} more" if len(columns.names) > 12 else "")
    if record_type and any(one.record_type != record_type for one in found):
        what, hint = f"cannot be read as {record_type} records (keys: {shown})", "omit --type to detect the type"
    elif os.path.isfile(path) and not os.path.getsize(path):
        what, hint = "is empty", ""
    else:
        what = (f"no converter reads these rows (keys: {shown})" if shown else "no converter reads this file") + why
        within = ", ".join([name for name in Columns(all_levels(columns.rows)).texts if is_path(name)][:4]) or "data.text"
        hint = f"see docs/converters.md; the converter table reads any columns that you name in its options, also within others: {within}"
    if len(columns.rows) == 1:
        hint = one_object_hint(columns.rows[0]) or hint
    return UserError(Problem(path, what, better or hint, "unknown-data"))


def _refuse_other_forms(file: SourceFile) -> None:
    """Raise UserError for a file that is neither text nor a table: its tags would be cells, or words of the text."""
    head = head_of(file)
    what = form_of(head.decode("utf-8-sig", "replace").lstrip().splitlines()) if sniff(head) in DELIMITERS else ""
    if sniff(head) in DELIMITERS and _MARKS.match(head):
        what = "turns with the marks of a chat template: write them as lists of messages, or set converter: text and keep_data in a recipe"
    if what and not what.startswith(A_TABLE):
        form, _, hint = what.partition(": ")
        raise UserError(Problem(Location(file.name, 1), f"holds {form}", hint, "unknown-data"))
