"""Tables in Apache Arrow's formats -> rows: Parquet, and the IPC format as a file or as a stream. Row groups and batches stream by.

Where the table carries the features of a Hugging Face data set, its class labels are given by name.
"""

import io
import shutil
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryFile
from typing import Any, BinaryIO

import orjson

from ...schemas.base.errors import Location, Problem, UserError
from .records import Drop, Row

_ROWS = 1024
_FILE = b"ARROW1"
_END = b"\xff\xff\xff\xff\0\0\0\0"


def read_parquet(stream: BinaryIO, name: str) -> Iterator[Row | Drop]:
    """The rows of a Parquet file. Its end is read first: a compressed one is unpacked to a temporary file."""
    import pyarrow.parquet as parquet

    with _translate_errors(name), _seekable(stream) as source:
        table = parquet.ParquetFile(source, buffer_size=1 << 20, pre_buffer=False, page_checksum_verification=True)
        yield from _rows(table.iter_batches(batch_size=_ROWS), table.schema_arrow, name)


def read_arrow(stream: BinaryIO, name: str) -> Iterator[Row | Drop]:
    """The rows of an IPC stream, or of an IPC file: that is a stream with a frame. One without its end mark was cut off.

    Raises UserError if it was cut off.
    """
    import pyarrow.ipc as ipc

    framed = stream.read(8).startswith(_FILE)
    if not framed:
        stream.seek(0)
    watched = _Watched(stream)
    with _translate_errors(name), ipc.open_stream(watched) as reader:
        yield from _rows(reader, reader.schema, name)
    if framed:
        watched.drain()
    if not watched.last.endswith(_FILE if framed else _END):
        what = "ends without its end mark: it was cut off, or is still being written"
        raise UserError(Problem(Location(name), what, "write it again, and close its writer", "unreadable"))


def _rows(batches: Iterable[Any], schema: Any, name: str) -> Iterator[Row]:
    if len(set(schema.names)) != len(schema.names):
        raise UserError(Problem(Location(name), "has the same column twice", "rename one of them", "columns"))
    named = class_labels(schema.metadata or {})
    before = 0
    for batch in batches:
        batch.validate(full=True)  # offsets beyond the data would be read as they are, and crash the process
        for start in range(0, batch.num_rows, _ROWS):
            for number, value in enumerate(batch.slice(start, _ROWS).to_pylist(), before + start + 1):
                for column, labels in named:
                    value[column] = labels(value.get(column))
                yield Row(value, name, number)
        before += batch.num_rows


def class_labels(metadata: dict[bytes, bytes]) -> list[tuple[str, Callable[[Any], Any]]]:
    """The columns that hold class labels by number, each with what gives the label's name. A number without a name stays."""
    try:
        features = orjson.loads(metadata.get(b"huggingface", b"{}"))["info"]["features"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return []
    return [(column, label_names(feature["names"])) for column, feature in features.items() if _is_label(feature)]


def _is_label(feature: Any) -> bool:
    return isinstance(feature, dict) and feature.get("_type") == "ClassLabel" and isinstance(feature.get("names"), list)


def label_names(names: list[str]) -> Callable[[Any], Any]:
    """What gives a label's name for its number; -1 is how data sets say that there is none."""

    def named(value: Any) -> Any:
        if type(value) is not int:
            return value
        return None if value == -1 else names[value] if 0 <= value < len(names) else value

    return named


class _Watched(io.RawIOBase):
    """A stream that remembers its last bytes."""

    def __init__(self, stream: BinaryIO) -> None:
        self.stream = stream
        self.last = b""

    def readable(self) -> bool:
        return True

    def read(self, size: int = -1, /) -> bytes:
        block = self.stream.read(size)
        self.last = (self.last + block[-8:])[-8:]
        return block

    def drain(self) -> None:
        while self.read(1 << 20):
            pass


@contextmanager
def _seekable(stream: BinaryIO) -> Iterator[BinaryIO]:
    try:
        stream.seek(0, 2)
        stream.seek(0)
    except io.UnsupportedOperation:
        stream.seek(0)
        with TemporaryFile() as copy:
            shutil.copyfileobj(stream, copy, 1 << 20)
            copy.seek(0)
            yield copy  # pyright: ignore[reportReturnType] - a binary file
    else:
        yield stream


@contextmanager
def _translate_errors(name: str) -> Iterator[None]:
    """Arrow's errors as what they mean here."""
    import pyarrow

    try:
        yield
    except (
        pyarrow.ArrowException,
        OSError,
        ValueError,
        TypeError,
        LookupError,
        ArithmeticError,
        MemoryError,
    ) as error:  # of damaged values, too
        said = next(iter(str(error).splitlines()), type(error).__name__)[:200]
        raise UserError(Problem(Location(name), f"cannot be read to its end: {said}", "write it again", "unreadable")) from None


_BOOKS = ("state.json", "dataset_info.json", "dataset_dict.json")


def data_files(paths: list[Path]) -> list[Path]:
    """The paths without what is no data in saved folders. Raises UserError when a listed file is missing."""
    listed = {path.parent: found for path in paths if path.name == "state.json" and (found := _listed(path)) is not None}
    if not listed:
        return paths
    roots = {folder.parent for folder in listed if (folder.parent / "dataset_dict.json").is_file()}
    kept = [path for path in paths if path.parent not in listed and not (path.parent in roots and path.name in _BOOKS)]
    return sorted([*kept, *(path for found in listed.values() for path in found)], key=lambda path: str(path.parent))


def _listed(state: Path) -> list[Path] | None:
    """The data files that a state.json lists; None when it is not one of `datasets`."""
    try:
        facts: Any = orjson.loads(state.read_bytes())
        files = [state.parent / Path(entry["filename"]).name for entry in facts["_data_files"]]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    if facts.get("_indices_data_files"):
        hint = "load it with datasets and save it again with save_to_disk"
        raise UserError(
            Problem(Location(str(state.parent)), "was saved with row indices by an old version of datasets", hint, "saved-dataset")
        )
    if missing := [path for path in files if not path.is_file()]:
        raise UserError(
            Problem(Location(str(missing[0])), "is listed in state.json and is not there", "copy the whole folder", "saved-dataset")
        )
    return files
