"""Decide whether the recipe allows the number of unusable rows, and list them with what to do."""

import math
import re
from collections.abc import Iterable
from typing import Any

import orjson

from ...schemas.base.counted import counted, counted_of, listed
from ...schemas.base.errors import SUMMARY, GateError, Location, Problem, UserError
from ...schemas.sections import Data
from ..reading.delimited import NO_HEADER
from ..reading.delimiters import DELIMITERS, looks_like_data
from ..reading.encodings import encoding_hint
from ..reading.files import SourceFile, open_source
from ..reading.readers import read_file
from ..reading.records import Drop, Row
from ..sources.key_paths import SeveralValues, row_for_each
from .manifest import Manifest
from .row_counts import Ledger


def check_budget(ledger: Ledger, allowed: float, files: Iterable[SourceFile] = (), if_all: str = "") -> None:
    """Raise UserError for more unusable rows than the recipe allows (GateError if it allows some). They are listed, up to a limit, with one
    line for all rows of a file with the same fault. `files` are the files of the rows, in which the hint may look; `if_all` is the hint
    where all rows have one fault.
    """
    if ledger.unusable <= allowed * ledger.rows_in:
        return
    alike: dict[tuple[str, str, str], list[Row]] = {}
    for drop in ledger.examples:
        alike.setdefault((drop.row.file, drop.reason, drop.detail), []).append(drop.row)
    problems = [_unusable(reason, detail, rows) for (_, reason, detail), rows in alike.items()]
    more = f" (the faults of the first {len(ledger.examples)} are listed)" if ledger.unusable > len(ledger.examples) else ""
    summary = f"{counted_of(ledger.unusable, ledger.rows_in, 'row')} cannot be used{more}"
    hint = _budget_hint(ledger)
    if ledger.unusable == ledger.rows_in and len({reason for _, reason, _ in alike}) == 1:
        hint = if_all or _NO_ROW_HINTS.get(ledger.examples[0].reason, hint)
        hint = NO_HEADER if hint == _OTHER_CONVERTER and _has_no_header(ledger.examples[0].row, files) else hint
    elif any(drop.reason == "key_not_read" for drop in ledger.examples):
        hint = f"{_READ_IT}, remove the rows, or list the key in the source's ignore_keys (--ignore-key)"
    if ledger.unusable == ledger.rows_in == 1 and ledger.examples[0].reason in _OTHER_FORM:
        hint = _one_object_hint(ledger.examples[0].row, files) or hint
    if bad := next((drop.row for drop in ledger.examples if drop.reason == "not_utf8"), None):
        hint = _encoding_hint(bad, files) or hint
    raise (GateError if allowed else UserError)(*problems, Problem("", summary, hint, SUMMARY))


_WORDS = 3  # a longer key is a text
_SEVERAL = re.compile(r"'(.+?)' has \d+ different values")
_ROLE = re.compile(r"role is ('.*?'|\".*?\");")
_OTHER_CONVERTER = (
    "set the converter's key options (recipe convert: --option KEY=VALUE), "
    "or choose another converter: recipe show --converter NAME lists what each reads"
)
_OTHER_FORM = ("missing_key", "no_messages", "unknown_form", "no_type", "not_a_run", "no_instruction", "no_text", "no_label")
_READ_IT = "choose a converter that reads it, name it in a template of the converter table (text_, user_ or assistant_template)"
_NO_ROW_HINTS = {
    **dict.fromkeys(_OTHER_FORM[:-2], _OTHER_CONVERTER),
    "ragged_row": "the header, or columns (--column), must name every column of the rows",
    "key_not_read": f"{_READ_IT}, or list the key in the source's ignore_keys (--ignore-key)",
}


def _budget_hint(ledger: Ledger) -> str:
    """Return the setting that allows so many unusable rows; if most are unusable, suggest another converter. Unknown roles are mapped."""
    mend = _role_hint(ledger) or several_hint(ledger.examples)
    if ledger.unusable > ledger.rows_in / 2:
        return mend or "fix the rows, or choose a converter that reads them: recipe new NAME --data FILE proposes one"
    share = f"{share_of(ledger.unusable, ledger.rows_in):g}"
    dropped = f"allow this share to be dropped: data.max_dropped: {share} (--max-dropped {share})"
    return f"{mend or 'fix the rows'}, or {dropped}"


def several_hint(drops: Iterable[Drop]) -> str:
    """Return how to write a row for each of several values, as several people's answers to a question; "" if no row has several."""
    found = (_SEVERAL.match(drop.detail) for drop in drops if drop.reason == SeveralValues.reason)
    path = next((row_for_each(one[1]) for one in found if one), "")
    how = f"jq -c '{path}' FILE > rows.jsonl"
    return f"if they are answers, write a row for each that is to be trained, e.g. for all: {how}" if path else ""


def _role_hint(ledger: Ledger) -> str:
    """Return how to map the roles that are not known; "" if all are."""
    unknown = [name for drop in ledger.examples if drop.reason == "unknown_role" for name in _ROLE.findall(drop.detail)]
    if "'function_call'" in unknown:
        return "train tool calls as text with options: {roles: {function_call: assistant, observation: tool}}, fix the rows"
    named = ", ".join(dict.fromkeys(unknown))
    how = "with the option roles, as in {client: user, counselor: assistant} (recipe new NAME --data FILE proposes it)"
    return f"map {named} {how}" if named else ""


def share_of(rows: int, of: int) -> float:
    """Return the share of the rows, rounded up to two digits, so that data.max_dropped allows that many."""
    digits = 1 - math.floor(math.log10(rows / of))
    share = round(rows / of, digits)
    return min(1.0, share if share * of >= rows else round(share + 10.0**-digits, digits))


def _file_of(row: Row, files: Iterable[SourceFile]) -> SourceFile | None:
    """Return the file that has the row, if it is one of the files."""
    return next((file for file in files if file.name == row.file), None)


def _encoding_hint(row: Row, files: Iterable[SourceFile]) -> str:
    """Return a hint for the encoding of the row's file."""
    if (file := _file_of(row, files)) is None:
        return ""
    with open_source(file.path, file.encoding) as stream:
        return encoding_hint(stream)


def _one_object_hint(row: Row, files: Iterable[SourceFile]) -> str:
    """Return a hint if the row's file is one JSON object that holds the rows, as pandas writes a table and other programs a data set."""
    file = _file_of(row, files)
    kind, rows = read_file(file, "values") if file and row.line == 1 else ("", iter(()))
    first = next(rows, None)
    return one_object_hint(first.value) if kind.startswith("json") and isinstance(first, Row) and isinstance(first.value, dict) else ""


def one_object_hint(row: dict[str, Any]) -> str:
    """Return what to do with a JSON object that holds all rows of its file: in a list, as lists, by their names, or as columns."""
    lists = {key: {*map(type, value)} for key, value in row.items() if isinstance(value, list)}
    if key := next((key for key, kinds in lists.items() if kinds == {dict}), None):
        return f"the file is one object, read as one row; if its rows are under {key!r}, set the source's field (--field)"
    if "columns" not in row and (key := next((key for key, kinds in lists.items() if kinds == {list}), None)):
        command = f"jq -c '.[{orjson.dumps(key).decode()}][] | {{text: .[0], label: .[1]}}' FILE > rows.jsonl"
        return f"the file is one object; if the lists under {key!r} are its rows, name their values, e.g. {command}"
    if path := _path_of_rows(row):
        command = "jq -c '" + "".join(f".{orjson.dumps(key).decode()}" for key in path) + "[]' FILE > rows.jsonl"
        return f"the file is one object; if its rows are under {'.'.join(path)!r}, write them one per line: {command}"
    if len(row) > 1 and all(isinstance(value, dict) and not all(map(str.isdecimal, value)) for value in row.values()):
        return "the file is one object: if its values are the rows, write them one per line, e.g. jq -c '.[]' FILE > rows.jsonl"
    if holds_pairs(row):
        command = "jq -c 'to_entries[] | {question: .key, answer: .value}' FILE > rows.jsonl"
        return f"the file is one object: if its keys are questions, write them with their answers: {command}"
    if all(isinstance(value, list | dict) for value in row.values()):
        return "the file is one object, read as one row; pandas writes rows with to_json(PATH, orient='records', lines=True)"
    return ""


def holds_pairs(row: dict[str, Any]) -> bool:
    """Return whether an object's keys are texts, most of several words, as its values are: questions, with their answers."""
    spoken = sum(len(key.split()) > _WORDS for key in row)
    return len(row) > 1 and spoken > len(row) / 2 and all(isinstance(value, str) for value in row.values())


def _path_of_rows(value: dict[str, Any], depth: int = 3) -> tuple[str, ...]:
    """Return the keys that lead to the only list of objects within objects; none if there are several, or no list."""
    found = [(key,) for key, inner in value.items() if isinstance(inner, list) and {*map(type, inner)} == {dict}]
    inner = [
        (key, *path) for key, inner in value.items() if depth and isinstance(inner, dict) and (path := _path_of_rows(inner, depth - 1))
    ]
    return found[0] if len(found) == 1 else inner[0] if not found and len(inner) == 1 else ()


def _has_no_header(row: Row, files: Iterable[SourceFile]) -> bool:
    """Return whether the row's file is a table whose first row reads like data."""
    file = _file_of(row, files)
    if file is None or file.columns:
        return False
    kind, rows = read_file(file, "values")
    first = next(rows, None)
    return kind in DELIMITERS and isinstance(first, Row) and looks_like_data([*first.value])


def _unusable(reason: str, detail: str, rows: list[Row]) -> Problem:
    """Return one fault of a file, at its first row, with the other lines that have it."""
    what = on_line(rows[0], reason.replace("_", " ") + (f": {detail}" if detail else ""))
    if len(rows) > 1:
        shown = ", ".join(row.position for row in rows[1:11])
        what += f" (also in {'lines' if len(rows) > 2 else 'line'} {shown}{f' and {len(rows) - 11} more' if len(rows) > 11 else ''})"
    return Problem(Location(rows[0].file, rows[0].line), what, rule=reason)


def on_line(row: Row, what: str) -> str:
    """Return what is wrong with the row, and which value of its line it is unless it is the first: an array may be one long line."""
    return what if row.item == 1 else f"value {row.item} of this line: {what}"


def refuse_empty(data: Data, manifest: Manifest) -> None:
    """Raise UserError if no split has a row, with the reasons: a filter or the converter is wrong."""
    if manifest["splits"]:
        return
    names = " or ".join(dict.fromkeys(source.converter for source in data.sources))
    hint = f"recipe show --converter {names} shows which rows it reads and what its options drop"
    if not manifest["rows_in"]:
        raise UserError(Problem("", "the sources have no rows", "check their paths and files", "no-rows"))
    weighed = {"left out by the sources' weights": manifest["rows_kept"]} if manifest["rows_kept"] else {}
    what = f"none of {counted(manifest['rows_in'], 'row')} is left: {listed(manifest['dropped'] | weighed)}"
    raise UserError(Problem("", what, hint, "no-rows"))
