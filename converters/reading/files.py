"""Which files a source names, and how each is opened. Formats are told by content, never by name."""

import os
from glob import glob, has_magic
from pathlib import Path
from typing import BinaryIO, NamedTuple

from ...schemas.base.errors import Location, Problem, UserError
from ...schemas.sections import UTF8, Source
from .compressed import decompressed
from .encodings import as_utf8, is_utf8
from .tables import data_files


class SourceFile(NamedTuple):
    """A file to read, and its name as people see it (relative to the folder that the source named).

    `named` is false for what was found in a folder: that may hold logs and notes beside its data. `encoding` is that of its text,
    `columns` are the names of a table's columns where it has no header.
    """

    path: Path
    name: str
    named: bool = True
    encoding: str = UTF8
    columns: tuple[str, ...] = ()


def files_of(source: Source) -> list[SourceFile]:
    """The files of a source, to be read as it declares. Raises UserError if it names none."""
    return [file._replace(encoding=source.encoding, columns=source.columns) for file in source_files(source.path)]


def source_files(path: str) -> list[SourceFile]:
    """The files that a source's path names: one file, a folder's files at any depth, or a glob's, in sorted order.

    Raises UserError if it names none.
    """
    if has_magic(path) and not Path(path).exists():
        found = [Path(p) for p in sorted(glob(path, recursive=True)) if Path(p).is_file()]
        unique = len({p.name for p in found}) == len(found)
        above = Path(os.path.commonpath([p.parent for p in found])) if found else Path()
        names = [SourceFile(p, p.name if unique else str(p.relative_to(above))) for p in found]
    elif Path(path).is_dir():
        root = Path(path)
        paths = data_files([p for p in sorted(root.rglob("*")) if _inside(p, root)])
        names = [SourceFile(p, str(p.relative_to(root)), False) for p in paths]
    else:
        names = [SourceFile(Path(path), Path(path).name)] if Path(path).is_file() else []
    if not names:
        what = "no files match" if has_magic(path) else "no files in the folder" if Path(path).is_dir() else "no such file"
        raise UserError(Problem(Location(path), what, "paths are relative to the recipe that names them", "no-such-file"))
    return names


def _inside(path: Path, root: Path) -> bool:
    """Ordinary files only; a link that leads out of the folder is not the folder's."""
    hidden = any(part.startswith(".") for part in path.relative_to(root).parts)
    return path.is_file() and not hidden and path.resolve().is_relative_to(root.resolve())


def open_source(path: Path, encoding: str = UTF8) -> BinaryIO:
    """The file's bytes, decompressed when it is gzip or zstd; text of another encoding as UTF-8. Raises UserError if it cannot be read."""
    try:
        with path.open("rb") as raw:
            head = raw.read(4)
        stream = decompressed(path, head) or path.open("rb")
    except OSError as error:
        raise UserError(Problem(Location(str(path)), f"cannot be read: {error.strerror}", rule="unreadable")) from None
    return stream if is_utf8(encoding) else as_utf8(stream, encoding, path.name)
