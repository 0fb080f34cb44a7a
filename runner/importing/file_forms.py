"""Find out what a source must declare about its files: encoding, lines above a table, the key of the rows in a JSON object."""

from collections import Counter
from itertools import islice
from pathlib import PurePath

from ...converters.reading.contents import sniff, text_format
from ...converters.reading.delimited import NO_HEADER
from ...converters.reading.delimiters import is_headerless, is_table, lines_above
from ...converters.reading.encodings import encoding_hint, likely_encodings
from ...converters.reading.files import HEAD, SourceFile, open_source, source_files
from ...converters.reading.json_items import fields_of
from ...converters.reading.readers import read_file, skip_lines
from ...converters.reading.records import Row
from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.sections import UTF8
from .anki import anki_header
from .speakers import KNOWN

TABLES = (".csv", ".tsv")  # formats in which commas are separators


def lines_to_skip(files: list[SourceFile]) -> int:
    """Return the number of lines above each table, such as a title. Raises UserError if the files differ in it."""
    found: dict[int, SourceFile] = {}
    for file in files:
        with open_source(file.path, file.encoding) as stream:
            head = stream.read(HEAD)
        if text_format(head) != "text" or sniff(head) not in ("csv", "tsv"):
            continue
        if notes := anki_header(head):
            found.setdefault(notes.lines, file)
        elif may_be_a_table(file, head):
            found.setdefault(lines_above(head), file)
    if len(found) > 1:
        number = max(found)
        what = f"has {number} {'line' if number == 1 else 'lines'} above its header, and {found[min(found)].name} has {min(found)}"
        hint = "remove the lines, or name the files as sources of their own, each with its skip_lines"
        raise UserError(Problem(found[number].path, what, hint, "skip-lines"))
    return next(iter(found), 0)


def field_of_rows(files: list[SourceFile]) -> str:
    """Return the key of the longest list of objects, where each file is one JSON object that has it; "" otherwise, and for a list of
    chat messages: its file is one row."""
    counts: Counter[str] = Counter()
    for file in files:
        with open_source(file.path, file.encoding) as stream:
            if not sniff(stream.read(HEAD)).startswith("json") or len([*islice(read_file(file, "values")[1], 2)]) != 1:
                return ""
            stream.seek(0)
            fields = fields_of(stream)
        counts = fields if file is files[0] else Counter({key: number + fields[key] for key, number in counts.items() if key in fields})
    field = max(counts, key=lambda key: counts[key], default="")
    first = next(read_file(files[0]._replace(field=field), "values")[1], None) if field else None
    is_chat = isinstance(first, Row) and isinstance(first.value, dict) and any(first.value.get(key) in KNOWN for key in ("role", "from"))
    return "" if is_chat else field


def other_lists(file: SourceFile) -> dict[str, int]:
    """Return the number of objects in each further list of a JSON file, by its key: its field alone is read."""
    with open_source(file.path, file.encoding) as stream:
        return {key: number for key, number in fields_of(stream).items() if key != file.field}


def other_keys(file: SourceFile) -> list[str]:
    """Return the keys of a JSON file's object, other than lists of objects, that hold something: its field alone is read."""
    whole = next(read_file(file._replace(field=None), "values")[1], None)
    values = whole.value if isinstance(whole, Row) and isinstance(whole.value, dict) else {}
    lists = (file.field, *other_lists(file))
    return [key for key, value in values.items() if key not in lists and value not in (None, "", [], {})]


def may_be_a_table(file: SourceFile, head: bytes) -> bool:
    """Return whether a text is a table by its name, its tabs or its first lines."""
    return file.path.suffix in TABLES or b"\t" in head or sniff(head) == "csv" and is_table(head)


def refuse_partitions(files: list[SourceFile]) -> None:
    """Raise UserError for a folder that has a column in the names of its folders, such as `label=joy`, as Spark and pandas write it:
    the files lack it."""
    for file in (file for file in files if not file.named):
        if named := [part for part in PurePath(file.name).parts[:-1] if "=" in part]:
            kind = file.path.suffix.removeprefix(".") or "parquet"
            what = f"has the column {named[0].partition('=')[0]!r} in the name of its folder, which is not read"
            code = f"d.dataset('FOLDER', format='{kind}', partitioning='hive').to_table()"
            hint = f"write one file with it: import pyarrow.dataset as d, pyarrow.parquet as p; p.write_table({code}, 'rows.parquet')"
            raise UserError(
                Problem(file.path, what, f"{hint}; a glob such as 'FOLDER/**/*.{kind}' reads the files without it", "partitions")
            )


def refuse_undeclared(file: SourceFile, files: list[SourceFile]) -> None:
    """Raise UserError for a text that is not UTF-8 or a table without a header, unless the source of these files declares it."""
    with open_source(file.path, file.encoding) as stream:
        skip_lines(stream, file.skip_lines)
        head = stream.read(HEAD)
        if text_format(head) != "text":
            return
        if not _is_utf8(head):
            hint, likely = encoding_hint(stream), next(iter(likely_encodings(stream).values()), "")
            if likely and any(_holds_utf8(other) for other in files):
                hint = f"other files are UTF-8, and a source has one encoding: save it as UTF-8, e.g. iconv -f {likely} -t utf-8 FILE > NEW"
            raise UserError(Problem(file.path, "is not UTF-8", hint, "encoding"))
    if not file.columns and may_be_a_table(file, head) and is_headerless(head):
        raise UserError(
            Problem(
                Location(str(file.path), file.skip_lines + 1), "the first row reads like data, not like a header", NO_HEADER, "csv-header"
            )
        )


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
