"""Read tables in Apache Arrow's formats as rows: Parquet, and IPC files and streams. Row groups and batches are streamed.

If the table has the features of a Hugging Face dataset, class labels are given by name.
"""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import orjson

from ...schemas.base.errors import Problem, UserError, first_line
from .compressed import MAX_PACKED
from .records import Drop, Row
from .table_messages import bomb

_ROWS = 1024
_FILE = b"ARROW1"
_END = b"\xff\xff\xff\xff\0\0\0\0"


def read_parquet(stream: BinaryIO, name: str) -> Iterator[Row | Drop]:
    """Yield the rows of a Parquet file. The stream can seek: the file's footer is read first."""
    import pyarrow.parquet as parquet

    with _translate_errors(name):
        table = parquet.ParquetFile(stream, buffer_size=1 << 20, pre_buffer=False, page_checksum_verification=True)
        size = stream.seek(0, 2)
        if table.metadata.num_rows > MAX_PACKED + size:
            raise bomb(name, size, f"{table.metadata.num_rows:,} rows")
        yield from _rows(table.iter_batches(batch_size=_ROWS), table.schema_arrow, name)


def read_arrow(stream: BinaryIO, name: str) -> Iterator[Row | Drop]:
    """Yield the rows of an IPC stream, or of an IPC file, which is a stream in a frame. The stream can seek.

    Raises UserError if the end mark is missing, and for what follows it: Arrow would pass over both.
    """
    import pyarrow.ipc as ipc

    framed = stream.read(8).startswith(_FILE)
    if not framed:
        stream.seek(0)
    with _translate_errors(name), ipc.open_stream(stream) as reader:
        yield from _rows(reader, reader.schema, name)
        end = stream.tell()
    if framed:  # the list of its batches follows
        end = stream.seek(0, os.SEEK_END)
    mark = _FILE if framed else _END
    stream.seek(end - len(mark))
    if stream.read(len(mark)) != mark:
        what = "has no end mark: it is truncated, or is still being written"
        raise UserError(Problem(name, what, "write it again, and close its writer", "unreadable"))
    if stream.read(1):
        what = "goes on after its end mark: streams that were joined are read only to the end of the first"
        raise UserError(Problem(name, what, "name each of them as a file of its own", "unreadable"))


def _rows(batches: Iterable[Any], schema: Any, name: str) -> Iterator[Row]:
    if len(set(schema.names)) != len(schema.names):
        raise UserError(Problem(name, "has the same column twice", "rename one of them", "columns"))
    named = class_labels(schema.metadata or {})
    before = 0
    for batch in batches:
        batch.validate(full=True)  # offsets beyond the data would crash the process
        for start in range(0, batch.num_rows, _ROWS):
            for number, value in enumerate(batch.slice(start, _ROWS).to_pylist(), before + start + 1):
                for column, labels in named:
                    value[column] = labels(value.get(column))
                yield Row(value, name, number)
        before += batch.num_rows


def class_labels(metadata: dict[bytes, bytes]) -> list[tuple[str, Callable[[Any], Any]]]:
    """Return the columns that hold class labels by number, each with a function from number to name. A number without a name is kept."""
    try:
        features = orjson.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return []
    own = [(column, label_names(feature["names"])) for column, feature in features.items() if _is_label(feature)]
    return own + [(column, of_each(label_names(one["names"]))) for column, feature in features.items() if _is_label(one := _item(feature))]


def _item(feature: Any) -> Any:
    """Return the feature of the items of a list, in the forms of the versions of `datasets`."""
    return feature[0] if isinstance(feature, list) and feature else feature.get("feature") if isinstance(feature, dict) else None


def of_each(named: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Return the function that names each item of a list, and leaves other values as they are."""
    return lambda values: [*map(named, values)] if isinstance(values, list) else values


def _is_label(feature: Any) -> bool:
    return isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list)


def label_names(names: list[str]) -> Callable[[Any], Any]:
    """Return the function from a label's number to its name; -1 means no label in Hugging Face datasets."""

    def named(value: Any) -> Any:
        if type(value) is not int:
            return value
        return None if value == -1 else names[value] if 0 <= value < len(names) else value

    return named


@contextmanager
def _translate_errors(name: str) -> Iterator[None]:
    """Raise Arrow's errors as UserError."""
    import pyarrow

    try:
        yield
    # Python's own errors come from damaged values.
    except (pyarrow.ArrowException, OSError, ValueError, TypeError, LookupError, ArithmeticError, MemoryError) as error:
        message = first_line(error)[:200]
        raise UserError(Problem(name, f"cannot be read to its end: {message}", "write it again", "unreadable")) from None


_METADATA_FILES = ("state.json", "dataset_info.json", "dataset_dict.json")


def data_files(paths: list[Path]) -> list[Path]:
    """Return the paths of data, without the metadata of saved datasets. Raises UserError if a listed file is missing."""
    listed = {path.parent: found for path in paths if path.name == "state.json" and (found := _listed(path)) is not None}
    if not listed:
        return paths
    roots = {folder.parent for folder in listed if (folder.parent / "dataset_dict.json").is_file()}
    kept = [path for path in paths if path.parent not in listed and not (path.parent in roots and path.name in _METADATA_FILES)]
    return sorted([*kept, *(path for found in listed.values() for path in found)], key=lambda path: str(path.parent))


def _listed(state: Path) -> list[Path] | None:
    """Return the data files that a state.json lists; None if it was not written by `datasets`."""
    try:
        facts: Any = orjson.loads(state.read_bytes())
        files = [state.parent / Path(entry["filename"]).name for entry in facts["_data_files"]]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    if facts.get("_indices_data_files"):
        hint = "load it with datasets and save it again with save_to_disk"
        raise UserError(Problem(state.parent, "was saved with row indices by an old version of datasets", hint, "saved-dataset"))
    if missing := [path for path in files if not path.is_file()]:
        raise UserError(Problem(missing[0], "is listed in state.json but missing", "copy the whole folder", "saved-dataset"))
    return files
