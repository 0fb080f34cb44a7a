"""Find the files of a source and open them. Formats are detected from the content, never from the name."""

import os
import re
from glob import glob, has_magic
from pathlib import Path
from typing import Any, BinaryIO, NamedTuple

from ...schemas.base.errors import Problem, UserError
from ...schemas.base.files import require_utf8_name
from ...schemas.base.suggestion import nearest
from ...schemas.sections import UTF8, Source
from ...schemas.split_names import split_in
from .compressed import decompressed
from .delimiters import lines_above
from .encodings import as_utf8, is_plainly_utf8, is_utf8
from .json_items import fields_of
from .tables import data_files

HEAD = 1 << 16  # bytes from which a file's format is detected

_RELATIVE = "paths in a recipe are relative to its folder, those of the command line to the current folder"


_ABOUT = re.compile(r"(?:readme|licen[cs]e|changelog|contributing|citation)\b.*", re.IGNORECASE)


class SourceFile(NamedTuple):
    """A file to read, and its displayed name (relative to the folder that the source names).

    `named` is false for files found in a folder, which may hold logs and notes next to its data. The others are the source's keys: the
    encoding of its text, the column names of a table without a header, the lines above a table, the key of the rows in a JSON object.
    """

    path: Path
    name: str
    named: bool = True
    encoding: str = UTF8
    columns: tuple[str, ...] = ()
    skip_lines: int = 0
    field: str | None = None


def files_of(source: Source) -> list[SourceFile]:
    """Return the files of a source, with its keys that say how to read them.

    Raises UserError if there are none, and for files of several splits.
    """
    files = source_files(source.path)
    splits = {split: file.name for file in files if (split := split_in(file.name))}
    if len(splits) > 1 and source.split is None:
        what = f"holds files of several splits: {' and '.join(sorted(splits.values()))}"
        hint = f"name each as a source of its own, with its split: {{path: ..., split: {min(splits)}}}"
        raise UserError(Problem(source.path, what, hint, "several-splits"))
    keys = {"encoding": source.encoding, "columns": source.columns, "skip_lines": source.skip_lines, "field": source.field}
    return [file._replace(**keys) for file in files]


def source_files(path: str) -> list[SourceFile]:
    """Return the files that a path names, sorted: one file, a folder's files at any depth, or a glob's matches.

    Raises UserError if there are none.
    """
    if has_magic(path) and not Path(path).exists():
        matched = [Path(p) for p in sorted(glob(path, recursive=True))]
        _refuse_links([p for p in matched if p.is_symlink() and not p.exists()])
        found = [p for p in matched if p.is_file()]
        unique = len({p.name for p in found}) == len(found)
        above = Path(os.path.commonpath([p.parent for p in found])) if found else Path()
        names = [SourceFile(p, p.name if unique else str(p.relative_to(above))) for p in found]
    elif Path(path).is_dir():
        root = Path(path)
        listed = [p for p in sorted(root.rglob("*")) if not _hidden(p, root)]
        _refuse_links([p for p in listed if p.is_symlink() and not (p.exists() and p.resolve().is_relative_to(root.resolve()))])
        paths = data_files([p for p in listed if p.is_file() and p.name != "dataset_infos.json"])
        names = [SourceFile(p, str(p.relative_to(root)), False) for p in paths]
    else:
        names = [SourceFile(Path(path), Path(path).name)] if Path(path).is_file() else []
    if not names:
        what = "no files match" if has_magic(path) else "no files in the folder" if Path(path).is_dir() else "no such file"
        raise UserError(Problem(path, what, _near(Path(path)) or _RELATIVE, "no-such-file"))
    for file in names:
        require_utf8_name(file.name)
    return names


def is_about_data(file: SourceFile) -> bool:
    """Return whether a text in a folder is about its data, such as README.md and LICENSE."""
    return not file.named and bool(_ABOUT.fullmatch(file.path.name))


def _near(path: Path) -> str:
    """Return a hint with the most similar name in the path's folder, if there is one."""
    here = [other.name for other in path.parent.iterdir() if other.name != path.name] if path.parent.is_dir() else []
    near = nearest(path.name, here)
    return f"did you mean {str(path.with_name(near))!r}?" if near else ""


def _hidden(path: Path, root: Path) -> bool:
    return any(part.startswith(".") for part in path.relative_to(root).parts)


def _refuse_links(links: list[Path]) -> None:
    """Raise UserError for broken links, and for links out of the folder: they would be skipped in silence, or read unasked."""
    if links:
        what = "is a link out of the folder" if links[0].exists() else "is a link to a file that is not there"
        hint = "name the file, or a glob such as FOLDER/*, to follow it" if links[0].exists() else "fetch the file, or remove the link"
        raise UserError(Problem(links[0], what, hint, "link"))


def open_source(path: Path, encoding: str = UTF8) -> BinaryIO:
    """Open the file, decompressed if it is gzip or zstd, and text of another encoding as UTF-8. Raises UserError if it cannot be read."""
    try:
        with path.open("rb") as raw:
            head = raw.read(4)
        stream = decompressed(path, head) or path.open("rb")
    except OSError as error:
        raise UserError(Problem(path, f"cannot be read: {error.strerror}", rule="unreadable")) from None
    if is_utf8(encoding):
        return stream
    if is_plainly_utf8(stream, encoding):
        stream.close()
        hint = "remove encoding (--encoding); if other files of the source need it, save those as UTF-8"
        raise UserError(Problem(path, f"is UTF-8, not {encoding}", hint, "encoding"))
    return as_utf8(stream, encoding, path.name)


def keys_for(path: Path, source: Source) -> dict[str, Any]:
    """Return the source's `encoding`, `skip_lines` and `field` for another file, which may be UTF-8, a plain table or a plain list.

    Raises UserError if it cannot be read.
    """
    with open_source(path) as stream:
        encoding = UTF8 if is_plainly_utf8(stream, source.encoding) else source.encoding
        stream.seek(0)
        skipped = min(source.skip_lines, lines_above(stream.read(HEAD)))
        stream.seek(0)
        field = source.field if source.field and source.field in fields_of(stream) else None
    return {"encoding": encoding, "skip_lines": skipped, "field": field}
