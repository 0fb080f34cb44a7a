"""Write files and folders atomically: the result is the complete old one or the complete new one."""

import errno
import os
import stat
from collections.abc import Collection, Iterable, Iterator
from contextlib import contextmanager, suppress
from functools import cache
from io import BufferedReader
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

from .errors import Problem, UserError

if TYPE_CHECKING:
    from ctypes import CDLL

MANIFEST = "manifest.json"  # written last: if it exists, the folder is complete
SENT_BYTES = 8 << 20
NAMED = 5  # foreign files that an error names
_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
_SYNC_FILE_RANGE_WRITE = 2


def write_atomically(path: Path, content: bytes | Iterable[bytes]) -> None:
    """Write to a temporary name, flush to disk, rename. An iterable is written part by part. Raises UserError if the disk fails."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    size = 0
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path)
        with temporary.open("wb") as stream:
            for part in (content,) if isinstance(content, bytes) else content:
                size += len(part)
                stream.write(part)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error, size) from None
    finally:
        with suppress(OSError):  # it may not exist
            temporary.unlink()


def append_whole(path: Path, content: bytes) -> None:
    """Append the content, without a buffer: all of it, or nothing. Raises OSError if the disk fails.

    A buffered file writes again, when it is closed, what a failed write has written in part.
    """
    with path.open("ab", buffering=0) as stream:
        start = stream.seek(0, os.SEEK_END)
        try:
            while content:
                content = content[stream.write(content) :]
        except OSError:
            with suppress(OSError):  # a line written in part is cut later
                stream.truncate(start)
            raise


class NewFile:
    """A file being written. Its hash is of the bytes given to it, so that bytes lost by the disk are detected later.

    It is flushed while it is written: flushing 200 MB only at the end took 5 % of a conversion.
    """

    def __init__(self, path: Path) -> None:
        from hashlib import sha256  # with OpenSSL a thirtieth of the time of `recipe check`

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
        """Write buffered bytes. Raises UserError if the file's size differs from what was written to it."""
        self.stream.close()
        if (size := self.path.stat().st_size) != self.bytes:
            what = f"{self.bytes:,} bytes were written, but the file has {size:,}"
            raise UserError(Problem(self.path, what, "check the disk", "bytes-lost"))

    def facts(self) -> dict[str, Any]:
        """Return the file's entry for the manifest."""
        return {"sha256": self.hash.hexdigest(), "bytes": self.bytes}


def open_regular(path: Path) -> BufferedReader:
    """Open a file for reading. Raises OSError for anything but a regular file: reading a pipe could block forever."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    if not stat.S_ISREG(os.fstat(descriptor).st_mode):
        os.close(descriptor)
        raise OSError(errno.EINVAL, "not a regular file", str(path))
    return os.fdopen(descriptor, "rb")


def require_utf8_name(name: str) -> None:
    """Raise UserError for a file's name that no JSON, YAML or HTML file can contain."""
    try:
        name.encode()
    except UnicodeEncodeError:
        what = "is not UTF-8: the files that recipekit writes cannot contain this name"
        raise UserError(Problem(name, what, "rename the file or the folder", "name")) from None


def send_to_disk(stream: BinaryIO, start: int, end: int) -> None:
    """Start writing the bytes from start to end to disk, without waiting. Errors appear in the final flush."""
    if begin := getattr(_libc(), "sync_file_range", None):  # Linux has it
        from ctypes import c_int64

        begin(stream.fileno(), c_int64(start), c_int64(end - start), _SYNC_FILE_RANGE_WRITE)


@cache
def _libc() -> "CDLL":
    from ctypes import CDLL

    return CDLL(None, use_errno=True)


def _remove_tree(folder: Path, ignore_errors: bool = False) -> None:
    from shutil import rmtree  # with the compression modules a twentieth of the time of `recipe check`

    if folder.is_symlink():  # somebody keeps the folder on another disk
        return folder.unlink()
    rmtree(folder, ignore_errors=ignore_errors)


def cannot_write(path: Path, error: OSError, size: int | None = None) -> UserError:
    """Return the error for a write that the system refused, with a hint."""
    needed = f" ({size:,} bytes)" if size else ""
    hints = {
        errno.ENOSPC: "no space left on the device: free some space, or choose another folder",
        errno.EDQUOT: "the disk quota is exhausted: free some space, or choose another folder",
        errno.EROFS: "the file system is read-only: choose another folder",
        errno.EACCES: "permission denied: choose another folder",
        errno.EMFILE: "too many open files: raise `ulimit -n`",
        errno.EBUSY: "a mount point cannot be replaced: choose a folder inside it",
        errno.EXDEV: "a folder of a container's image cannot be replaced (overlayfs): choose another folder, or use a volume",
    }
    return UserError(Problem(path, f"cannot be written{needed}: {error.strerror or error}", hints.get(error.errno or 0, ""), "unwritable"))


@contextmanager
def new_folder(target: Path, marker: str, own: Collection[str] | None = None) -> Iterator[Path]:
    """Yield a temporary folder next to `target` that replaces it if the block succeeds, and is removed if it fails.

    An existing target is replaced only if it is empty, or if it holds `marker` and nothing but the files named `own` (None: any), so that
    nobody loses files. It is checked before the work, and again before it is replaced.
    Raises UserError if recipekit did not write the target, or if nothing can be written.
    """
    if target.exists() and not (target.is_dir() and ((target / marker).is_file() or not any(target.iterdir()))):
        raise UserError(Problem(target, "exists and was not written by recipekit", "choose another folder", "not-ours"))
    refuse_others(target, own)
    with replacing_folder(target) as temporary:
        yield temporary
        refuse_others(target, own)


@contextmanager
def replacing_folder(target: Path) -> Iterator[Path]:
    """Yield a temporary folder next to `target` that replaces it, whatever it holds, if the block succeeds, and is removed if it fails.

    Raises UserError if nothing can be written.
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
        _remove_tree(temporary, ignore_errors=True)


def replace_folder(new: Path, target: Path) -> None:
    """Flush the folder `new` to disk, exchange it with `target` in one step, and remove the old one.

    Raises UserError if the disk fails; the target is then the complete old one.
    """
    try:
        sweep(target)
        for path in (*new.rglob("*"), new):
            _flush(path)
        _swap(new, target)
        _flush(target.parent)
    except OSError as error:
        raise cannot_write(target, error) from None
    if new.name.endswith(".tmp"):  # the old folder, which sweep would find
        _remove_tree(new, ignore_errors=True)
        return
    try:
        remove_folder(new)
    except UserError:  # the new folder is in place, even if the old one cannot be removed
        _remove_tree(new, ignore_errors=True)


def remove_folder(folder: Path) -> None:
    """Rename the folder away, then delete it: a half-deleted folder, left by a kill, could be mistaken for a complete one.

    Raises UserError if the disk fails.
    """
    try:
        sweep(folder)
        if folder.exists():
            leaving = folder.with_name(f".{folder.name}.{os.getpid()}.tmp")
            folder.rename(leaving)
            _remove_tree(leaving)
    except OSError as error:
        raise cannot_write(folder, error) from None


def remove(path: Path) -> None:
    """Remove whatever has this name, if anything has. Raises UserError if the disk fails."""
    if path.is_dir() and not path.is_symlink():
        return remove_folder(path)
    try:
        path.unlink(missing_ok=True)
    except OSError as error:
        raise cannot_write(path, error) from None


def refuse_others(target: Path, own: Collection[str] | None) -> None:
    """Raise UserError if the folder holds more than its `own` files: the user's files would be deleted with it."""
    if own is None or not target.is_dir():
        return
    ours = {Path(name) for name in own}
    ours |= {above for path in ours for above in path.parents}
    names = sorted(str(path) for path in (path.relative_to(target) for path in target.rglob("*")) if path not in ours)
    if names:
        more = f" and {len(names) - NAMED:,} more" if len(names) > NAMED else ""
        what = f"contains files that recipekit did not write and would delete: {', '.join(names[:NAMED])}{more}"
        raise UserError(Problem(target, what, "move them, or choose another folder", "others-files"))


def refuse_inputs_in(target: Path, inputs: Iterable[Path]) -> None:
    """Raise UserError if an input is inside the folder that will be replaced."""
    whole = target.resolve()
    for path in inputs:
        if path.resolve().is_relative_to(whole):
            what = f"is an input inside {target}, which would be overwritten"
            raise UserError(Problem(path, what, "choose another folder", "input-in-output"))


def _flush(path: Path) -> None:
    """Make a file's content, or a rename in a folder, survive a power failure."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sweep(target: Path) -> None:
    """Remove what killed writers of `target` left behind; restore the old folder if one had only moved it away."""
    for left in target.parent.iterdir() if target.parent.is_dir() else ():
        name, _, owner = left.name.removesuffix(".tmp").rpartition(".")
        if not left.name.endswith(".tmp") or not owner.isdigit() or Path(f"/proc/{owner}").exists():
            continue
        if name == f".{target.name}.old" and not target.exists():
            left.rename(target)
        elif name in (f".{target.name}", f".{target.name}.old"):
            left.unlink(missing_ok=True) if left.is_file() else _remove_tree(left, ignore_errors=True)


def sweep_folder(folder: Path) -> None:
    """Remove what killed writers of anything in the folder left behind, including files that are not written again."""
    for left in folder.glob(".*.tmp"):
        name = left.name.removesuffix(".tmp").rpartition(".")[0]
        sweep(folder / name.removeprefix(".").removesuffix(".old"))


def _swap(new: Path, target: Path) -> None:
    """Put `new` in the place of `target` in one step, or in two if the system cannot exchange two names."""
    if not target.exists():
        try:
            new.rename(target)
            return
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST):  # another process has written it since
                raise
    exchange = getattr(_libc(), "renameat2", None)
    if exchange and exchange(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(target), _RENAME_EXCHANGE) == 0:
        return
    old = target.with_name(f".{target.name}.old.{os.getpid()}.tmp")
    target.rename(old)
    new.rename(target)
    _remove_tree(old, ignore_errors=True)
