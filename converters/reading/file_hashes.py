"""The hash of a source file, computed once in a process: a source may be large, and a run's key and its manifest both name its hash."""

import os
import time
from pathlib import Path
from typing import NamedTuple

from ...schemas.base.hashing import file_sha256

SETTLED_NS = 100_000_000  # file systems count time in steps of up to 10 ms: a file that changed just now may change again unseen
_known: dict[tuple[Path, "Version"], str] = {}


class Version(NamedTuple):
    """What shows that a file was changed: nobody can set the time of the last change to a file's inode."""

    size: int
    modified_ns: int
    changed_ns: int
    inode: int

    @classmethod
    def of(cls, path: Path) -> "Version":
        """Return the version that is there now."""
        facts = os.stat(path)
        return cls(facts.st_size, facts.st_mtime_ns, facts.st_ctime_ns, facts.st_ino)


def source_sha256(path: Path) -> str:
    """Return the file's SHA-256; the file is read unless this process has hashed it and it has not changed since."""
    version = Version.of(path)
    digest = _known.get((path, version))
    if digest is None:
        digest = file_sha256(path)
        remember(path, version, digest)
    return digest


def remember(path: Path, version: Version, digest: str) -> None:
    """Keep the hash of a file that was read as a whole, where it is still the version that was opened."""
    if Version.of(path) == version and time.time_ns() - version.changed_ns > SETTLED_NS:
        _known[path, version] = digest
