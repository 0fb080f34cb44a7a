"""Atomic writes of files and folders: the result is the complete old one or the complete new one."""

import ctypes
import errno
import os
import shutil
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import Any, BinaryIO

from .errors import Location, Problem, UserError

MANIFEST = "manifest.json"  # comes last: where it stands, the rest is complete
SENT_BYTES = 8 << 20
NAMED = 5  # files of others that a refusal names
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_SYNC_FILE_RANGE_WRITE = 2


def write_atomically(path: Path, content: bytes) -> None:
    """Write under a temporary name, flush to disk, rename. Raises UserError when the disk refuses."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path)
        with temporary.open("wb") as stream:
            stream.write(content)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):  # where no file can be made, there is none to take away
            temporary.unlink()
        raise cannot_write(path, error, len(content)) from None


class NewFile:
    """A file as it is written. Its hash is of what was meant to stand in it, so that bytes lost on the way are noticed later.

    It is sent to the disk while it is being written, and waited for at the end: 200 MB at the end alone cost a twentieth of a conversion.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.stream = path.open("wb")
        self.hash = sha256()
        self.bytes = self.sent = 0

    def write(self, content: bytes | memoryview) -> None:
        """Append the content."""
        self.stream.write(content)
        self.hash.update(content)
        self.bytes += len(content)
        if self.bytes - self.sent >= SENT_BYTES:
            send_to_disk(self.stream, self.sent, self.bytes)
            self.sent = self.bytes

    def close(self) -> None:
        """Write what is buffered. Raises UserError when the file is not as long as what was written to it."""
        self.stream.close()
        if (size := self.path.stat().st_size) != self.bytes:
            what = f"{self.bytes:,} bytes were written, but the file has {size:,}"
            raise UserError(Problem(Location(str(self.path)), what, "check the disk", "bytes-lost"))

    def facts(self) -> dict[str, Any]:
        """The file's part of the manifest."""
        return {"sha256": self.hash.hexdigest(), "bytes": self.bytes}


def send_to_disk(stream: BinaryIO, start: int, end: int) -> None:
    """Have the system begin to write the bytes from start to end, and go on. What fails is told by the flush that a file ends with."""
    if begin := getattr(_libc(), "sync_file_range", None):  # Linux has it
        begin(stream.fileno(), ctypes.c_int64(start), ctypes.c_int64(end - start), _SYNC_FILE_RANGE_WRITE)


@cache
def _libc() -> ctypes.CDLL:
    return ctypes.CDLL(None, use_errno=True)


def cannot_write(path: Path, error: OSError, size: int | None = None) -> UserError:
    """The error of a write that the system refused, with what to do about it."""
    needed = f" ({size:,} bytes)" if size else ""
    hints = {
        errno.ENOSPC: "no space left on the device: free some space, or choose another folder",
        errno.EDQUOT: "the disk quota is exhausted: free some space, or choose another folder",
        errno.EROFS: "the file system is read-only: choose another folder",
        errno.EACCES: "permission denied: choose another folder",
        errno.EMFILE: "too many open files: raise `ulimit -n`",
    }
    what = f"cannot be written{needed}: {error.strerror or error}"
    return UserError(Problem(Location(str(path)), what, hints.get(error.errno or 0, ""), "unwritable"))


@contextmanager
def new_folder(target: Path, marker: str, own: Collection[str] | None = None) -> Iterator[Path]:
    """A temporary folder beside `target` that takes its place when the block ends well, and vanishes when it does not.

    An existing target is replaced only when it is empty or holds `marker`, and nothing beside the files named `own` (None: whatever it
    holds), so that nobody's own files are thrown away. It is looked at before the work and again before it is replaced.
    Raises UserError if recipekit did not write what is there, or nothing can be written.
    """
    if target.exists() and not (target.is_dir() and ((target / marker).is_file() or not any(target.iterdir()))):
        raise UserError(Problem(Location(str(target)), "exists and was not written by recipekit", "choose another folder", "not-ours"))
    refuse_others(target, own)
    with replacing_folder(target) as temporary:
        yield temporary
        refuse_others(target, own)


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """A temporary folder beside `target` that takes its place when the block ends well, whatever is there, and vanishes when it does not.

    Raises UserError when nothing can be written.
    """
    sweep(target)
    temporary = target.with_name(f".{target.name}.{os.getpid()}.tmp")
    try:
        temporary.mkdir(parents=True)
        yield temporary
        replace_folder(temporary, target)
    except OSError as error:
        raise cannot_write(target, error) from None
    finally:
        shutil.rmtree(temporary, ignore_errors=True)


def replace_folder(new: Path, target: Path) -> None:
    """Put the folder `new`, once its files are on the disk, in the place of `target` in one step, and remove what was there.

    Raises UserError when the disk refuses; the target is then the complete old one.
    """
    try:
        sweep(target)
        for path in (*new.rglob("*"), new):
            _flush(path)
        _swap(new, target)
        _flush(target.parent)
    except OSError as error:
        raise cannot_write(target, error) from None
    if new.name.endswith(".tmp"):  # the old one, which a sweep would find
        shutil.rmtree(new, ignore_errors=True)
        return
    with suppress(UserError):  # the new one is in place, whatever becomes of the old one
        remove_folder(new)


def remove_folder(folder: Path) -> None:
    """Remove the folder at once, and then all that it holds: half of it, left by a kill, would be taken for a folder.

    Raises UserError when the disk refuses.
    """
    try:
        sweep(folder)
        if folder.exists():
            leaving = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
            folder.rename(leaving)
            shutil.rmtree(leaving)
    except OSError as error:
        raise cannot_write(folder, error) from None


def refuse_others(target: Path, own: Collection[str] | None) -> None:
    """Raise UserError when the folder holds more than its `own` files: what people have put there would be lost with it."""
    if own is None or not target.is_dir():
        return
    ours = {Path(name) for name in own}
    ours |= {above for path in ours for above in path.parents}
    names = sorted(str(path) for path in (path.relative_to(target) for path in target.rglob("*")) if path not in ours)
    if names:
        more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
        what = f"contains files that recipekit did not write and would delete: {', '.join(names[:NAMED])}{more}"
        raise UserError(Problem(Location(str(target)), what, "move them, or choose another folder", "others-files"))


def refuse_inputs_in(target: Path, inputs: Iterable[Path]) -> None:
    """Raise UserError when a file that is read stands in the folder that is replaced."""
    whole = target.resolve()
    for path in inputs:
        if path.resolve().is_relative_to(whole):
            what = f"is an input inside {target}, which would be overwritten"
            raise UserError(Problem(Location(str(path)), what, "choose another folder", "input-in-output"))


def _flush(path: Path) -> None:
    """Have what was written to a file, or renamed in a folder, outlast a loss of power."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(target: Path) -> None:
    """Remove what writers of `target` that were killed have left behind; put the old folder back where one had just moved it away."""
    for left in target.parent.iterdir() if target.parent.is_dir() else ():
        name, _, owner = left.name.removesuffix(".tmp").rpartition(".")
        if not left.name.endswith(".tmp") or not owner.isdigit() or Path(f"/proc/{owner}").exists():
            continue
        if name == f".{target.name}.old" and not target.exists():
            left.rename(target)
        elif name in (f".{target.name}", f".{target.name}.old"):
            left.unlink(missing_ok=True) if left.is_file() else shutil.rmtree(left, ignore_errors=True)


def sweep_folder(folder: Path) -> None:
    """Remove what killed writers of anything in the folder have left behind, also of files that are not written again."""
    for left in folder.glob(".*.tmp"):
        name = left.name.removesuffix(".tmp").rpartition(".")[0]
        sweep(folder / name.removeprefix(".").removesuffix(".old"))


def _swap(new: Path, target: Path) -> None:
    """Put `new` in `target`'s place in one step; where the system cannot exchange two names, in two."""
    if not target.exists():
        new.rename(target)
        return
    exchange = getattr(_libc(), "renameat2", None)
    if exchange and exchange(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(target), _RENAME_EXCHANGE) == 0:
        return
    old = target.with_name(f".{target.name}.old.{os.getpid()}.tmp")
    target.rename(old)
    new.rename(target)
    shutil.rmtree(old, ignore_errors=True)
